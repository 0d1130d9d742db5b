"""The best of many trials at once, as arrays: by merit, or the Pareto front.

`Front` of `objectives` does the same trial by trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective

_FEW_PAIRS: Final = 65_536
"""Up to so many pairs are compared one with each other at once."""

_FEW_ROWS: Final = 128

Costs = npt.NDArray[np.float64]
"""Objective values turned so that smaller is better, shape (trials, objectives)."""

Mask = npt.NDArray[np.bool_]


def costs_of(values: npt.NDArray[np.float64], objectives: Sequence[Objective]) -> Costs:
    """Return objective values so that smaller is better, zeros without sign; exact otherwise."""
    signs = np.array([-1.0 if one.maximize else 1.0 for one in objectives])
    costs: Costs = values * signs + 0.0
    return costs


def best_numbers(table: TrialTable, objectives: Sequence[Objective]) -> npt.NDArray[np.int64]:
    """Return the numbers of the best trials as the contract lists them.

    For one objective all feasible trials by falling merit, lower numbers first among equals; for
    several the Pareto front by rising number. Comparisons are exact.
    """
    rows = np.flatnonzero(table.feasible)
    costs = costs_of(table.objective_values[rows], objectives)
    if len(objectives) == 1:
        rows = rows[np.argsort(costs[:, 0], kind="stable")]
    else:
        rows = rows[on_front(costs)]
    return table.numbers[rows]


def on_front(costs: Costs) -> Mask:
    """Tell for each row whether no other is at least as small everywhere and smaller somewhere.

    Kung, Luccio, Preparata, "On finding the maxima of a set of vectors" (1975): the rows are
    sorted and halved, and what the fronts of the halves leave of each other is the front.
    """
    order = np.lexsort(costs.T[::-1])
    rows = costs[order]
    # Of equal rows one stands for all: then no smaller everywhere is smaller somewhere.
    first = _first_of_equals(rows)
    kept = np.zeros(int(first.sum()), dtype=np.bool_)
    kept[_front(rows[first], np.arange(len(kept)))] = True
    mask = np.empty(len(costs), dtype=np.bool_)
    mask[order] = kept[np.cumsum(first) - 1]
    return mask


def _front(rows: Costs, members: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return which members are on the front of all; rows are distinct and sorted by column."""
    if len(members) <= _FEW_ROWS:
        held = rows[members]
        # Every row is at most as large as itself: those are left that no second one beats.
        beaten_by = (held[:, None] <= held).all(axis=2).sum(axis=0)
        return np.asarray(members[beaten_by == 1])
    middle = len(members) // 2
    first, second = _front(rows, members[:middle]), _front(rows, members[middle:])
    # By the order nothing of the second half beats any of the first, whose first column is never
    # the larger one.
    left = ~covered(rows[first, 1:], rows[second, 1:])
    return np.concatenate((first, second[left]))


def distinct(costs: Costs) -> Costs:
    """Return the rows without repetitions, sorted by column from the first to the last."""
    rows = costs[np.lexsort(costs.T[::-1])]
    return rows[_first_of_equals(rows)]


def _first_of_equals(rows: Costs) -> Mask:
    return np.concatenate(([True], (rows[1:] != rows[:-1]).any(axis=1)))[: len(rows)]


def covered(by: Costs, rows: Costs) -> Mask:
    """Tell for each of `rows` whether one of `by` is at most as large in every column."""
    if not len(by) or not len(rows):
        return np.zeros(len(rows), dtype=np.bool_)
    columns = rows.shape[1]
    if columns == 1:
        return np.asarray(rows[:, 0] >= by[:, 0].min())
    if len(by) * len(rows) <= _FEW_PAIRS:
        return np.asarray((by[:, None] <= rows).all(axis=2).any(axis=0))
    if columns == 2:
        return _covered_in_plane(by, rows)
    levels = np.unique(np.concatenate((by[:, -1], rows[:, -1])))
    if len(levels) == 1:
        return covered(by[:, :-1], rows[:, :-1])
    pivot = levels[(len(levels) - 1) // 2]
    low_by, low = by[:, -1] <= pivot, rows[:, -1] <= pivot
    mask = np.empty(len(rows), dtype=np.bool_)
    mask[low] = covered(by[low_by], rows[low])
    high = np.flatnonzero(~low)
    mask[high] = covered(by[low_by, :-1], rows[high, :-1])
    open_ones = high[~mask[high]]
    mask[open_ones] = covered(by[~low_by], rows[open_ones])
    return mask


def _covered_in_plane(by: Costs, rows: Costs) -> Mask:
    order = np.argsort(by[:, 0])
    lowest = np.minimum.accumulate(by[order, 1])
    places = np.searchsorted(by[order, 0], rows[:, 0], side="right")
    return np.asarray((places > 0) & (lowest[places - 1] <= rows[:, 1]))
