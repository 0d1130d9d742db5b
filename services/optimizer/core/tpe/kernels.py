"""Kernels of one axis: the logarithm of each kernel's density at each place.

Densities are told relative to the uniform one, so that they are near 1 whatever the units. On a
lattice a kernel's density at a value is its probability of the value's cell, times the number of
values.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from services.optimizer.core.tpe.axes import Axis, LatticeAxis, LogWholeAxis, WordAxis
from services.optimizer.core.tpe.elementary import Floats, logarithm, mass_between, upper_tail

LARGEST_TABLE: Final = 512
"""Values of a lattice up to which kernels are tabulated; above, no cell is wider than a fifth of a
standard deviation, and a series of the cell's width has all digits that matter."""

HALF_LOG_2_PI: Final = 0.91893853320467274178
_SMALLEST_MASS: Final = 1e-300

Rows = slice


class Prepared(Protocol):
    """Kernels that know the places they are wanted at, m of them."""

    def add_to(self, total: Floats, rows: Rows) -> None:
        """Add the logarithms for some places to `total`, shape (places, kernels)."""


class Kernels(Protocol):
    """The kernels of an axis, n on observations and the prior behind them.

    Attributes:
        constant: What is added to the logarithm of each kernel at all places, shape (n + 1,).
    """

    constant: Floats

    def prepare(self, places: Floats) -> Prepared:
        """Take the places, settled, shape (m,)."""


class _Table:
    """Logarithms by distinct place and kernel."""

    def __init__(self, table: Floats, rows: npt.NDArray[np.intp]) -> None:
        self._table, self._rows = table, rows

    def add_to(self, total: Floats, rows: Rows) -> None:
        total += np.take(self._table, self._rows[rows], axis=0)


class _Smooth:
    """Logarithms as polynomials of the squared distance in standard deviations."""

    def __init__(self, places: Floats, kernels: SmoothKernels) -> None:
        self._places, self._kernels = places, kernels

    def add_to(self, total: Floats, rows: Rows) -> None:
        kernels = self._kernels
        square = np.subtract.outer(self._places[rows], kernels.centres)
        square *= kernels.scales
        square *= square
        if kernels.series is None:
            total -= square
            return
        # Horner's rule in place: one pass over the matrix for each step.
        logarithms = square * kernels.series[0]
        for coefficient in kernels.series[1:]:
            logarithms += coefficient
            logarithms *= square
        total += logarithms


class SmoothKernels:
    """Normal densities cut off at the ends of a range, or of a fine lattice.

    The probability of a cell of half width h (in standard deviations) at distance z is 2 h times
    the density there times exp(h^2 (s - 1) / 6 - h^4 (s^2 + 4 s - 2) / 180
    + h^6 (s^3 + 6 s^2 + 3 s - 1) / 2835 - ...), s = z^2: the cumulants of a uniform variable.
    """

    def __init__(self, axis: Axis, centres: Floats, deviations: Floats, masses: Floats) -> None:
        """Take the kernels' centres, standard deviations and masses inside, shape (n + 1,) each."""
        self.centres = centres
        self.constant = -logarithm(masses) - logarithm(deviations / axis.width) - HALF_LOG_2_PI
        self.series: Floats | None = None
        if axis.width == 1.0:
            # Squares of these distances are halves of squared deviations.
            self.scales = math.sqrt(0.5) / deviations
            return
        self.scales = 1.0 / deviations
        square = 0.25 * self.scales * self.scales
        fourth, sixth = square * square, square * square * square
        self.constant += -square / 6.0 + fourth * (2.0 / 180.0) - sixth / 2835.0
        self.series = np.stack(
            [
                sixth / 2835.0,
                sixth * (6.0 / 2835.0) - fourth / 180.0,
                square / 6.0 - fourth * (4.0 / 180.0) + sixth * (3.0 / 2835.0) - 0.5,
            ]
        )

    def prepare(self, places: Floats) -> Prepared:
        """Take the places."""
        return _Smooth(places, self)


class LatticeKernels:
    """Probabilities of cells, of kernels that stand in the middle of cells."""

    def __init__(
        self, axis: LatticeAxis, centres: Floats, deviations: Floats, masses: Floats
    ) -> None:
        """Take the kernels' centres, standard deviations and masses inside, shape (n + 1,) each."""
        self.constant = _log(axis.width) - logarithm(masses)
        self._width = axis.width
        self._cells = (centres[:-1] - 0.5).astype(np.int64)
        distinct, self._which = np.unique(deviations[:-1], return_inverse=True)
        # By distance in cells: the probability of a cell hangs on nothing else.
        tails = upper_tail((np.arange(axis.width) + 0.5) / distinct[:, None])
        found = np.empty_like(tails)
        found[:, 0] = 1.0 - 2.0 * tails[:, 0]
        found[:, 1:] = tails[:, :-1] - tails[:, 1:]
        self._by_distance = logarithm(np.maximum(found, _SMALLEST_MASS)).ravel()

    def prepare(self, places: Floats) -> Prepared:
        """Tabulate the cells that places lie in."""
        distinct, rows = np.unique(places, return_inverse=True)
        cells = (distinct - 0.5).astype(np.int64)
        at = np.abs(np.subtract.outer(cells, self._cells))
        at += self._which * int(self._width)
        table = np.empty((len(cells), len(self._cells) + 1))
        table[:, :-1] = np.take(self._by_distance, at)
        middle, wide = 0.5 * self._width, self._width
        prior = mass_between((distinct - 0.5 - middle) / wide, (distinct + 0.5 - middle) / wide)
        table[:, -1] = logarithm(prior)
        return _Table(table, rows)


class LogWholeKernels:
    """Probabilities of the cells of whole numbers on a logarithmic axis."""

    def __init__(
        self, axis: LogWholeAxis, centres: Floats, deviations: Floats, masses: Floats
    ) -> None:
        """Take the kernels' centres, standard deviations and masses inside, shape (n + 1,) each."""
        self.constant = _log(axis.cell_count) - logarithm(masses)
        self._axis = axis
        # Observations repeat: pairs of centre and deviation, ordered by the first, then the second.
        pairs = np.empty(len(centres), dtype=np.complex128)
        pairs.real, pairs.imag = centres, deviations
        distinct, self._which = np.unique(pairs, return_inverse=True)
        self._centres, self._deviations = distinct.real.copy(), distinct.imag.copy()

    def prepare(self, places: Floats) -> Prepared:
        """Tabulate the whole numbers at places."""
        distinct, rows = np.unique(places, return_inverse=True)
        begins, ends = self._axis.cells(distinct)
        masses = mass_between(
            np.subtract.outer(begins, self._centres) / self._deviations,
            np.subtract.outer(ends, self._centres) / self._deviations,
        )
        table = logarithm(np.maximum(masses, _SMALLEST_MASS))
        return _Table(np.take(table, self._which, axis=1), rows)


class WordKernels:
    """Each observation gives its word 1 and all words a share of the prior's 1."""

    def __init__(self, axis: WordAxis, indices: Floats) -> None:
        """Take the observed indices, shape (n,)."""
        words, kernels = len(axis.words), len(indices) + 1
        self.shares = word_shares(words, kernels)
        other, same = (_log(share) for share in self.shares)
        self._table = np.zeros((words, kernels))
        observed = np.equal.outer(np.arange(words), indices)
        self._table[:, :-1] = np.where(observed, same, other)
        self.constant = np.zeros(kernels)

    def prepare(self, places: Floats) -> Prepared:
        """Take the indices."""
        return _Table(self._table, places.astype(np.intp))


def word_shares(word_count: int, kernel_count: int) -> tuple[float, float]:
    """Return a kernel's probability of another word and of its own, times the number of words."""
    share = 1.0 / kernel_count
    total = 1.0 + word_count * share
    return word_count * share / total, word_count * (1.0 + share) / total


def kernels_of(axis: Axis, centres: Floats, deviations: Floats, masses: Floats) -> Kernels:
    """Return the kernels of an axis; of words only the centres are looked at."""
    if isinstance(axis, WordAxis):
        return WordKernels(axis, centres[:-1])
    if isinstance(axis, LogWholeAxis):
        return LogWholeKernels(axis, centres, deviations, masses)
    if isinstance(axis, LatticeAxis) and axis.width <= LARGEST_TABLE:
        return LatticeKernels(axis, centres, deviations, masses)
    return SmoothKernels(axis, centres, deviations, masses)


def _log(number: float) -> float:
    return float(logarithm(np.array([number]))[0])
