"""The Parzen estimator: a weighted mixture of kernels, one product of axes per observation.

As in Optuna 5's TPE: weights of observations fall with age beyond the latest 25, and the prior
weighs as much as the latest. Joint, an observation's kernel spans all axes; otherwise every axis
has a mixture of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.searches.tpe.axes import Axis, WordAxis
from services.optimizer.core.searches.tpe.bandwidths import bandwidths, inside
from services.optimizer.core.searches.tpe.elementary import (
    Floats,
    column_sums,
    exponential,
    logarithm,
    normal_quantile,
    row_sums,
    upper_tail,
)
from services.optimizer.core.searches.tpe.kernels import kernels_of

Indices = npt.NDArray[np.intp]

_UNWEIGHED: Final = 25
_CHUNK: Final = 12_000
"""Pairs of places and kernels worked on at once: small enough that they stay in the caches."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The searched parameters and which of them are estimated together.

    Attributes:
        all: All of them.
        groups: Indices of those that share a mixture: one group of all, or each its own.
        group_of: The group of each, shape (axes,).
        numeric: Indices of those that are not words.
        widths: Widths of the numeric ones, shape (numeric,).
    """

    all: tuple[Axis, ...]
    groups: tuple[tuple[int, ...], ...]
    group_of: Indices
    numeric: Indices
    widths: Floats

    @classmethod
    def of(cls, axes: Sequence[Axis], *, joint: bool) -> Axes:
        """Return axes, estimated jointly or each alone."""
        places = range(len(axes))
        numeric = [place for place in places if not isinstance(axes[place], WordAxis)]
        return cls(
            all=tuple(axes),
            groups=(tuple(places),) if joint else tuple((place,) for place in places),
            group_of=np.zeros(len(axes), np.intp) if joint else np.arange(len(axes), dtype=np.intp),
            numeric=np.array(numeric, dtype=np.intp),
            widths=np.array([axes[place].width for place in numeric]),
        )


def age_weights(count: int) -> Floats:
    """Return the weights of observations from the oldest to the latest, at most 1."""
    weights = np.ones(count)
    rising = count - _UNWEIGHED
    if rising > 1:
        steps = np.arange(rising) / (rising - 1)
        weights[:rising] = 1.0 / count + (1.0 - 1.0 / count) * steps
    elif rising == 1:
        weights[0] = 1.0 / count
    return weights


@functools.lru_cache(64)
def _weights(count: int) -> tuple[float, Floats]:
    """Return the total weight of observations and prior, and the logarithms of their shares."""
    weights = np.append(age_weights(count), 1.0)
    total = float(column_sums(weights))
    return total, logarithm(weights / total)


class Parzen:
    """A mixture on observations, and on the prior behind them.

    Attributes:
        axes: The axes.
        places: The observations, shape (axes, n).
        total_weight: What the weights of observations and prior add up to.
    """

    def __init__(self, axes: Axes, places: Floats) -> None:
        """Fit to observations, from the oldest to the latest, shape (axes, n)."""
        self.axes = axes
        self.places = places
        kernel_count = places.shape[1] + 1
        self.total_weight, self._log_weights = _weights(places.shape[1])
        shape = (len(axes.all), kernel_count)
        self._centres, self._deviations, self._masses = (np.ones(shape) for _ in range(3))
        self._fit()
        self._constants = -logarithm(self._masses)
        self._kernels = []
        for row, axis in enumerate(axes.all):
            kernels = kernels_of(axis, self._centres[row], self._deviations[row])
            self._constants[row] += kernels.constant
            self._kernels.append(kernels)

    def _fit(self) -> None:
        numeric, widths = self.axes.numeric, self.axes.widths
        self._centres[:, :-1] = self.places
        self._centres[numeric, -1] = 0.5 * widths
        deviations = np.empty((len(numeric), self._centres.shape[1]))
        deviations[:, :-1] = bandwidths(self.places[numeric], widths)
        deviations[:, -1] = widths
        self._deviations[numeric] = deviations
        self._masses[numeric] = inside(self._centres[numeric], deviations, widths)

    def densities(self, places: Floats) -> Floats:
        """Return the density of each group, relative to the uniform one.

        Args:
            places: Settled places, shape (axes, m).

        Returns:
            Shape (groups, m).
        """
        count = places.shape[1]
        found = np.empty((len(self.axes.groups), count))
        rows = max(1, _CHUNK // len(self._log_weights))
        for group, densities in zip(self.axes.groups, found, strict=True):
            constant = self._log_weights.copy()
            for axis in group:
                constant += self._constants[axis]
            prepared = [self._kernels[axis].prepare(places[axis]) for axis in group]
            for first in range(0, count, rows):
                part = slice(first, min(first + rows, count))
                total = np.empty((part.stop - part.start, len(constant)))
                total[:] = constant
                for one in prepared:
                    one.add_to(total, part)
                densities[part] = row_sums(exponential(total))
        return found

    def sample(self, kernel_draws: Floats, draws: Floats) -> Floats:
        """Return settled places drawn from the mixture, which must weigh all kernels alike.

        Args:
            kernel_draws: Uniform numbers above 0 and below 1, shape (groups, m).
            draws: The same, shape (axes, m).

        Returns:
            Shape (axes, m).
        """
        kernel_count = len(self._log_weights)
        chosen = np.empty(draws.shape, dtype=np.intp)
        for group, kernels in zip(self.axes.groups, kernel_draws, strict=True):
            chosen[list(group)] = np.minimum(np.floor(kernels * kernel_count), kernel_count - 1)
        found = np.empty_like(draws)
        numeric = self.axes.numeric
        if len(numeric):
            found[numeric] = self._normal(numeric, chosen[numeric], draws[numeric])
        for row, axis in enumerate(self.axes.all):
            if isinstance(axis, WordAxis):
                found[row] = self._words(row, len(axis.words), chosen[row], draws[row])
            else:
                found[row] = axis.settled(found[row])
        return found

    def _normal(self, numeric: Indices, chosen: Indices, draws: Floats) -> Floats:
        at = numeric[:, None], chosen
        centres, deviations, masses = self._centres[at], self._deviations[at], self._masses[at]
        below = upper_tail(centres / deviations)
        places = centres + deviations * normal_quantile(below + masses * draws)
        return np.minimum(np.maximum(places, 0.0), self.axes.widths[:, None])

    def _words(self, row: int, word_count: int, chosen: Indices, draws: Floats) -> Floats:
        """Draw the kernel's own word, or, for the part the prior has in it, any word."""
        kernel_count = len(self._log_weights)
        share = word_count / kernel_count
        share /= 1.0 + share
        part = np.where(chosen == kernel_count - 1, 1.0, share)
        of_any = np.minimum(np.floor(draws / part * word_count), word_count - 1.0)
        return np.where(draws < part, of_any, self._centres[row][chosen])
