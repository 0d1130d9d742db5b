"""What several objectives have to be traded for: ranks, regrets and the knee of a front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.fronts import Costs, costs_of
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective

_NOISE: Final = 1e-12
"""Distances in units of the front's range that differ by less differ by rounding alone."""

_FEWEST_WITH_KNEE: Final = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TradeOffs:
    """A front of f trials and m objectives.

    Attributes:
        numbers: Trial numbers, rising, shape (f,).
        objective_values: Shape (f, m).
        ranks: For each objective 1 for the best, equals share the lower rank, shape (f, m).
        regret_ratios: What is lost against the front's best, as part of the front's range, 0 where
            all are equal, shape (f, m).
        knee: Number of the trial farthest from the plane through the extremes; None for fewer than
            three trials.
        best_rank: Number of the trial with the smallest sum of ranks; None for an empty front.
    """

    numbers: npt.NDArray[np.int64]
    objective_values: Floats
    ranks: npt.NDArray[np.int64]
    regret_ratios: Floats
    knee: int | None
    best_rank: int | None


def trade_offs(
    table: TrialTable, front: npt.NDArray[np.int64], objectives: Sequence[Objective]
) -> TradeOffs:
    """Return the trade-offs of a front given by rising trial number."""
    values = table.objective_values[front]
    costs = costs_of(values, objectives)
    ranks, regrets = _ranks(costs), _regrets(costs)
    sums = ranks.sum(axis=1)
    has_knee = len(front) >= _FEWEST_WITH_KNEE
    return TradeOffs(
        numbers=front,
        objective_values=values,
        ranks=ranks,
        regret_ratios=regrets,
        knee=int(front[_knee(regrets)]) if has_knee else None,
        best_rank=int(front[sums.argmin()]) if len(front) else None,
    )


def reference_point(table: TrialTable, objectives: Sequence[Objective]) -> Floats:
    """Return the worst feasible value of each objective, shape (m,); (0,) without any."""
    values = table.objective_values[table.feasible]
    if not len(values):
        return np.empty(0)
    worst = costs_of(values, objectives).argmax(axis=0)
    return np.asarray(values[worst, np.arange(len(objectives))])


def _ranks(costs: Costs) -> npt.NDArray[np.int64]:
    ranks = np.empty(costs.shape, dtype=np.int64)
    for axis, column in enumerate(costs.T):
        ranks[:, axis] = np.searchsorted(np.sort(column), column) + 1
    return ranks


def _regrets(costs: Costs) -> Floats:
    if not len(costs):
        return np.empty(costs.shape)
    # Halves, since the range of finite numbers may be infinite.
    lowest = costs.min(axis=0) / 2
    ranges = costs.max(axis=0) / 2 - lowest
    regrets: Floats = (costs / 2 - lowest) / np.where(ranges > 0, ranges, 1.0)
    return regrets


def _knee(regrets: Floats) -> int:
    """Return the first row farthest from the plane through the extremes.

    The extremes are, for each objective, the first row without regret in it. Objectives in which
    all are equal have no say. Where the extremes span no plane (one row may be best in several
    objectives), the plane is the one that weighs all objectives equally.
    """
    scaled = regrets[:, regrets.max(axis=0) > 0]
    extremes = scaled[scaled.argmin(axis=0)]
    normal = _normal(extremes)
    if not np.abs(normal).max(initial=0.0) > _NOISE:
        normal = np.ones(scaled.shape[1])
    lengths = np.zeros(len(scaled))
    for axis, weight in enumerate(normal):
        lengths += weight * (scaled[:, axis] - extremes[0, axis])
    distances = np.abs(lengths)
    # Weights are of the order of 1: their scale changes no comparison but that with noise.
    return int(np.flatnonzero(distances >= distances.max() - _NOISE)[0])


def _normal(points: Floats) -> Floats:
    """Return a vector at right angles to the plane through m points; zeros where there is none."""
    edges = points[1:] - points[:1]
    axes = range(points.shape[1])
    return np.array(
        [(-1.0) ** axis * _determinant(edges[:, [a for a in axes if a != axis]]) for axis in axes]
    )


def _determinant(matrix: Floats) -> float:
    """Return a small determinant by expansion, in an order that no processor changes."""
    if not len(matrix):
        return 1.0
    total = 0.0
    for column in range(len(matrix)):
        rest = np.delete(matrix[1:], column, axis=1)
        total += (-1.0) ** column * float(matrix[0, column]) * _determinant(rest)
    return total
