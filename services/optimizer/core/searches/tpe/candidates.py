"""Candidates: drawn from the good trials, weighed against all others and against each other.

A candidate's merit is the density of the good trials at it over that of the others. A point that
is proposed joins the others at once with a kernel of its own ("constant liar"), so that what is
proposed next keeps away from it; nothing is fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.optimizer.core.searches.tpe.axes import LatticeAxis, LogWholeAxis, WordAxis
from services.optimizer.core.searches.tpe.bandwidths import bandwidths_among, inside
from services.optimizer.core.searches.tpe.elementary import (
    Floats,
    column_sums,
    exponential,
    logarithm,
)
from services.optimizer.core.searches.tpe.kernels import HALF_LOG_2_PI, log_of, word_logs
from services.optimizer.core.searches.tpe.parzen import Axes, Parzen

_CELLS_PER_DEVIATION: Final = 2.5
"""A kernel narrower than its cell over this is widened: its peak is then the cell's probability."""

_ROOT_HALF: Final = 0.70710678118654752440


@dataclass(frozen=True, slots=True)
class Candidates:
    """Places with what is known of them, m of them.

    Attributes:
        places: Settled, shape (axes, m).
        numbers: `Axis.numbers` of them, shape (axes, m).
        good: Densities of the good trials, shape (groups, m).
        other: Densities of the others and of what was proposed already, shape (groups, m).
        scales: One over the standard deviations of the kernels they would have, times the root of
            one half, shape (numeric axes, m).
        peaks: Logarithm of such a kernel's largest density, shape (groups, m).
        cells: Logarithm of how long the cell of each place is relative to the mean cell, where the
            cells of an axis differ, shape (groups, m).
    """

    places: Floats
    numbers: Floats
    good: Floats
    other: Floats
    scales: Floats
    peaks: Floats
    cells: Floats

    def one(self, axes: Axes, chosen: Sequence[int]) -> Candidates:
        """Return a single candidate, put together of the ones chosen for each group."""
        if len(chosen) == 1:
            column = slice(chosen[0], chosen[0] + 1)
            return Candidates(*(getattr(self, name)[:, column] for name in self.__slots__))
        numeric = [chosen[axis] for axis in axes.numeric]
        found = []
        for name in self.__slots__:
            rows = getattr(self, name)
            columns = numeric if name == "scales" else chosen
            found.append(rows[range(len(columns)), columns][:, None])
        return Candidates(*found)

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return the candidates of all parts, in order."""
        names = cls.__slots__
        return cls(*(np.concatenate([getattr(one, name) for one in parts], 1) for name in names))


class Estimator:
    """The two densities of one generation, which do not change while it is asked.

    Attributes:
        axes: The axes.
    """

    def __init__(self, good: Parzen, other: Parzen) -> None:
        """Take the densities of the good trials and of the others."""
        self.axes = axes = good.axes
        self._good = good
        self._other = other
        # What is proposed weighs as much as the latest trial.
        self._weight = -log_of(self._other.total_weight)
        self._numeric = axes.numeric
        group_of = axes.group_of.tolist()
        self._numeric_groups = [group_of[axis] for axis in axes.numeric]
        self._words = [
            (row, group_of[row], *word_logs(len(axis.words), other.places.shape[1] + 1))
            for row, axis in enumerate(axes.all)
            if isinstance(axis, WordAxis)
        ]

    @property
    def draw_count(self) -> int:
        """Uniform numbers a candidate is made of."""
        return len(self.axes.groups) + len(self.axes.all)

    def candidates(self, draws: Floats) -> Candidates:
        """Return candidates made of uniform numbers, shape (draw_count, m), with their merits."""
        group_count = len(self.axes.groups)
        return self.at(self._good.sample(draws[:group_count], draws[group_count:]), weigh=True)

    def at(self, places: Floats, *, weigh: bool = False) -> Candidates:
        """Return places as candidates.

        Args:
            places: Settled places, shape (axes, m).
            weigh: Whether their merits are wanted; else they only repel others.
        """
        shape = (len(self.axes.groups), places.shape[1])
        scales, peaks = self._own_kernels(places)
        return Candidates(
            places=places,
            numbers=np.array(
                [axis.numbers(row) for axis, row in zip(self.axes.all, places, strict=True)]
            ),
            good=self._good.densities(places) if weigh else np.zeros(shape),
            other=self._other.densities(places) if weigh else np.zeros(shape),
            scales=scales,
            peaks=peaks,
            cells=self._cell_logs(places),
        )

    def repel(self, candidates: Candidates, first: int, proposed: Candidates) -> None:
        """Add the kernels of proposed points to the other density of candidates from `first` on."""
        rows = slice(first, None)
        own = candidates.places[self._numeric, None, rows]
        steps = own - proposed.places[self._numeric][:, :, None]
        steps *= proposed.scales[:, :, None]
        steps *= steps
        logs = proposed.peaks[:, :, None] + candidates.cells[:, None, rows]
        for group, step in zip(self._numeric_groups, steps, strict=True):
            logs[group] -= step
        for axis, group, other, same in self._words:
            alike = candidates.places[axis, rows] == proposed.places[axis][:, None]
            logs[group] += np.where(alike, same, other)
        candidates.other[:, rows] += column_sums(exponential(logs).swapaxes(0, 1))

    def _own_kernels(self, places: Floats) -> tuple[Floats, Floats]:
        """Return scales and peaks; on lattices a kernel is taken by its density."""
        own, widths = places[self._numeric], self.axes.widths
        deviations = bandwidths_among(own, self._other.places[self._numeric], widths)
        for row, axis in enumerate(self._numeric):
            cells = self._cell_widths(axis, own[row])
            if cells is not None:
                np.maximum(deviations[row], cells / _CELLS_PER_DEVIATION, out=deviations[row])
        peaks = np.full((len(self.axes.groups), places.shape[1]), self._weight)
        heights = -logarithm(inside(own, deviations, widths) * deviations / widths[:, None])
        heights -= HALF_LOG_2_PI
        for group, height in zip(self._numeric_groups, heights, strict=True):
            peaks[group] += height
        return _ROOT_HALF / deviations, peaks

    def _cell_widths(self, axis: int, places: Floats) -> Floats | None:
        """Return how long the cells of settled places are; None where there are no cells."""
        one = self.axes.all[axis]
        if isinstance(one, LatticeAxis):
            return np.ones(places.shape)
        if isinstance(one, LogWholeAxis):
            begins, ends = one.cells(places)
            return ends - begins
        return None

    def _cell_logs(self, places: Floats) -> Floats:
        logs = np.zeros((len(self.axes.groups), places.shape[1]))
        for axis, one in enumerate(self.axes.all):
            if isinstance(one, LogWholeAxis):
                begins, ends = one.cells(places[axis])
                logs[self.axes.group_of[axis]] += logarithm((ends - begins) * one.cell_count)
        return logs
