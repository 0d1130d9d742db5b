"""How the best of a study came about: the best value, or the volume dominated, per generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from services.optimizer.core.fronts import Costs, costs_of, covered, on_front
from services.optimizer.core.objectives import Objective
from services.optimizer.core.pareto import reference_point
from services.optimizer.core.trial_table import TrialTable

Hypervolume: TypeAlias = Callable[[Costs, npt.NDArray[np.float64]], float]
"""Volume between costs, shape (n, m), and a point that is nowhere smaller, shape (m,)."""


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
    """Return the volume dominated after each generation; empty without a feasible trial.

    Measured from the worst values of all generations. Each trial that joins the front adds what it
    alone dominates, so that the volume never falls and generations without such trials cost
    nothing.
    """
    reference = costs_of(reference_point(table, objectives), objectives)
    if not len(reference):
        return []
    costs = costs_of(table.objective_values, objectives)
    front = np.empty((0, len(objectives)))
    history, volume = [], 0.0
    for first, last in _generations(table):
        fresh = costs[first:last][table.feasible[first:last]]
        fresh = fresh[~covered(front, fresh)]
        fresh = fresh[on_front(fresh)]
        for cost in fresh:
            volume += _added(cost, front, reference, hypervolume)
            front = np.vstack((front, cost))
        if len(fresh):
            front = front[on_front(front)]
        history.append(volume)
    return history


def _added(
    cost: npt.NDArray[np.float64],
    front: Costs,
    reference: npt.NDArray[np.float64],
    hypervolume: Hypervolume,
) -> float:
    """Return the volume that a point dominates and a front does not.

    Of what the point dominates, a front dominates what the front moved into it dominates. While,
    Bradstreet, Barone, "A fast way of calculating exact hypervolumes" (2012).
    """
    alone = hypervolume(cost[None], reference)
    moved = np.maximum(front, cost)
    moved = moved[on_front(moved)]
    return max(0.0, alone - hypervolume(moved, reference)) if len(moved) else alone


def _generations(table: TrialTable) -> Iterator[tuple[int, int]]:
    """Yield the first row of each generation and the row behind its last."""
    starts = np.flatnonzero(np.diff(table.generation_numbers, prepend=-1)).tolist()
    yield from zip(starts, [*starts[1:], len(table)], strict=True)
