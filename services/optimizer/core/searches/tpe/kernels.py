"""Kernels of one axis: the logarithm of each kernel's density at each place.

Densities are told relative to the uniform one, so that they are near 1 whatever the units. On a
lattice a kernel's density at a value is its probability of the value's cell, times the number of
values.
"""

from __future__ import annotations

import functools
import math
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from services.optimizer.core.searches.tpe.axes import Axis, LatticeAxis, LogWholeAxis, WordAxis
from services.optimizer.core.searches.tpe.elementary import (
    Floats,
    logarithm,
    mass_between,
    upper_tail,
)

LARGEST_TABLE: Final = 512
"""Values of a lattice up to which kernels are tabulated; above, no cell is wider than a fifth of a
standard deviation, and a series of the cell's width has all digits that matter."""

HALF_LOG_2_PI: Final = 0.91893853320467274178
_SMALLEST_MASS: Final = 1e-300

Rows = slice
Integers = npt.NDArray[np.int64]


class Prepared(Protocol):
    """Kernels that know the places they are wanted at, m of them."""

    def add_to(self, total: Floats, rows: Rows) -> None:
        """Add the logarithms for some places to `total`, shape (places, kernels)."""


class Kernels(Protocol):
    """The kernels of an axis, n on observations and the prior behind them.

    Attributes:
        constant: What is added to the logarithm of each kernel at all places, shape (n + 1,); the
            part of a kernel that lies on the axis is not in it.
    """

    constant: Floats

    def prepare(self, places: Floats) -> Prepared:
        """Take the places, settled, shape (m,)."""


class _Table:
    """Logarithms by distinct place and kernel."""

    def __init__(self, table: Floats, rows: Integers) -> None:
        self._table, self._rows = table, rows

    def add_to(self, total: Floats, rows: Rows) -> None:
        total += np.take(self._table, self._rows[rows], axis=0)


class _Cells:
    """Logarithms looked up as they are wanted, where that is less work than a table."""

    def __init__(self, kernels: LatticeKernels, cells: Integers) -> None:
        self._kernels, self._cells = kernels, cells

    def add_to(self, total: Floats, rows: Rows) -> None:
        total += self._kernels.logs(self._cells[rows])


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

    def __init__(self, axis: Axis, centres: Floats, deviations: Floats) -> None:
        """Take the kernels' centres and standard deviations, shape (n + 1,) each."""
        self.centres = centres
        self.constant = -logarithm(deviations / axis.width) - HALF_LOG_2_PI
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

    def __init__(self, axis: LatticeAxis, centres: Floats, deviations: Floats) -> None:
        """Take the kernels' centres and standard deviations, shape (n + 1,) each."""
        self.constant = np.full(len(centres), log_of(axis.width))
        self._width = width = int(axis.width)
        distinct, which = np.unique(deviations[:-1], return_inverse=True)
        tables = [_logs_by_distance(width, deviation) for deviation in distinct.tolist()]
        self._by_distance = np.concatenate([*tables, _prior_logs(width)])
        # Where the tables have a kernel's probability of the lowest cell; the prior's is behind.
        self._begins = np.full(len(centres), len(distinct) * (2 * width - 1))
        self._begins[:-1] = which * (2 * width - 1) + width - 1
        self._begins[:-1] -= (centres[:-1] - 0.5).astype(np.int64)

    def prepare(self, places: Floats) -> Prepared:
        """Take the cells that places lie in."""
        cells = (places - 0.5).astype(np.int64)
        if len(cells) > self._width:
            return _Table(self.logs(np.arange(self._width)), cells)
        return _Cells(self, cells)

    def logs(self, cells: Integers) -> Floats:
        """Return the logarithms of kernels at cells, shape (cells, n + 1)."""
        found: Floats = np.take(self._by_distance, np.add.outer(cells, self._begins))
        return found


class LogWholeKernels:
    """Probabilities of the cells of whole numbers on a logarithmic axis."""

    def __init__(self, axis: LogWholeAxis, centres: Floats, deviations: Floats) -> None:
        """Take the kernels' centres and standard deviations, shape (n + 1,) each."""
        self.constant = np.full(len(centres), log_of(axis.cell_count))
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
        other, same = word_logs(words, kernels)
        self._table = np.zeros((words, kernels))
        observed = np.equal.outer(np.arange(words), indices)
        self._table[:, :-1] = np.where(observed, same, other)
        self.constant = np.zeros(kernels)

    def prepare(self, places: Floats) -> Prepared:
        """Take the indices."""
        return _Table(self._table, places.astype(np.int64))


def kernels_of(axis: Axis, centres: Floats, deviations: Floats) -> Kernels:
    """Return the kernels of an axis; of words only the centres are looked at."""
    if isinstance(axis, WordAxis):
        return WordKernels(axis, centres[:-1])
    if isinstance(axis, LogWholeAxis):
        return LogWholeKernels(axis, centres, deviations)
    if isinstance(axis, LatticeAxis) and axis.width <= LARGEST_TABLE:
        return LatticeKernels(axis, centres, deviations)
    return SmoothKernels(axis, centres, deviations)


@functools.lru_cache(1_024)
def word_logs(word_count: int, kernel_count: int) -> tuple[float, float]:
    """Return the logarithms of a kernel's density at another word and at its own."""
    share = 1.0 / kernel_count
    total = 1.0 + word_count * share
    return log_of(word_count * share / total), log_of(word_count * (1.0 + share) / total)


@functools.lru_cache(1_024)
def log_of(number: float) -> float:
    """Return the natural logarithm of a positive normal number."""
    return float(logarithm(np.array([float(number)]))[0])


@functools.lru_cache(1_024)
def _logs_by_distance(width: int, deviation: float) -> Floats:
    """Return a kernel's logarithms of probability by distance, from 1 - width to width - 1 cells.

    Remembered, since deviations are mostly the same few from generation to generation.
    """
    edges: Floats = (np.arange(width, dtype=np.float64) + 0.5) / deviation
    tails = upper_tail(edges)
    masses = np.concatenate([1.0 - 2.0 * tails[:1], tails[:-1] - tails[1:]])
    logs = logarithm(np.maximum(masses, _SMALLEST_MASS))
    return np.concatenate([logs[:0:-1], logs])


@functools.lru_cache(64)
def _prior_logs(width: int) -> Floats:
    """Return the prior's logarithms of probability by cell."""
    edges = (np.arange(width + 1) - 0.5 * width) / width
    return logarithm(mass_between(edges[:-1], edges[1:]))
