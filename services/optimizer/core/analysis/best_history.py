"""How the best of a study came about: the best value, or the volume dominated, per generation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.fronts import Costs, costs_of, covered, distinct, on_front
from services.optimizer.core.analysis.pareto import reference_point
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective

Hypervolume: TypeAlias = Callable[[Costs, npt.NDArray[np.float64]], float]
"""Volume between a front of distinct costs, shape (n, m), and a point that is nowhere smaller,
shape (m,)."""

MOST_CELLS: Final = 10_000_000_000
"""A history of volumes looks at so many cells at most, which takes about a minute; each change of a
front of f trials costs f to the power of the objectives less one."""

MOST_MEMBERS: Final = 3_000
"""Largest front of more than two objectives whose volume is computed: a map of f x f cells."""


def best_value_history(table: TrialTable, objective: Objective) -> list[float]:
    """Return the best value after each generation, from that of the first feasible trial on."""
    costs = costs_of(table.objective_values, [objective])[:, 0]
    costs = np.where(table.feasible, costs, np.inf)
    earlier = np.concatenate(([np.inf], np.minimum.accumulate(costs)))[:-1]
    # Rows rather than values: of equal values, zeros among them, the first is the best.
    rows = np.maximum.accumulate(np.where(costs < earlier, np.arange(len(costs)), -1))
    best = [int(rows[last - 1]) for _, last in _generations(table)]
    return [float(table.objective_values[row, 0]) for row in best if row >= 0]


def hypervolume_history(
    table: TrialTable, objectives: Sequence[Objective], hypervolume: Hypervolume
) -> list[float]:
    """Return the volume dominated after each generation, from the worst feasible values of all.

    Empty without a feasible trial, and where it would take minutes: see `MOST_CELLS` and
    `MOST_MEMBERS`.
    """
    worst = reference_point(table, objectives)
    if not len(worst):
        return []
    reference = costs_of(worst, objectives)
    costs = costs_of(table.objective_values, objectives)
    front = np.empty((0, len(objectives)))
    history: list[float] = []
    volume, cells = 0.0, 0
    for first, last in _generations(table):
        fresh = costs[first:last][table.feasible[first:last]]
        fresh = distinct(fresh[~covered(front, fresh)])
        fresh = fresh[on_front(fresh)]
        if len(fresh):
            front = np.vstack((front[~covered(fresh, front)], fresh))
            cells += len(front) ** (len(objectives) - 1)
            if cells > MOST_CELLS or (len(objectives) > 2 and len(front) > MOST_MEMBERS):
                return []
            # Rounding must not make it fall.
            volume = max(volume, hypervolume(front, reference))
        history.append(volume)
    return history


def _generations(table: TrialTable) -> Iterator[tuple[int, int]]:
    """Yield the first row of each generation and the row behind its last."""
    starts = np.flatnonzero(np.diff(table.generation_numbers, prepend=-1)).tolist()
    yield from itertools.pairwise([*starts, len(table)])
