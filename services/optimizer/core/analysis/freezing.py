"""Which parameters can be fixed, and what fixing them would have cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.importance import Importance
from services.optimizer.core.analysis.interactions import mean
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories, Domain, DoubleRange, IntRange
from services.optimizer.core.trial import Trial, TrialState, Value

NEAR_SHARE: Final = 0.1
"""Part of a range within which values are near each other."""

_NOISE: Final = 1e-9
"""By how much more, relative, since differences of decimals are rounded."""

_BEST_SHARE: Final = 10
"""One trial in so many counts as among the best."""


@dataclass(frozen=True, slots=True)
class FreezeSuggestion:
    """A parameter that matters no more than chance.

    Attributes:
        name: The parameter.
        value: The best trial's value, to fix it at.
        objective_cost: What the objective would have lost, in its own unit, 0 or more.
        near_trial_count: Complete trials near the value.
    """

    name: str
    value: Value
    objective_cost: float
    near_trial_count: int


def freeze_suggestions(
    plan: StudyPlan, table: TrialTable, importance: Importance, best: Trial
) -> tuple[FreezeSuggestion, ...]:
    """Return what can be fixed for one objective, by falling share of importance."""
    complete = table.states == TrialState.COMPLETE.value
    merits = table.objective_values[complete, 0]
    if not plan.objectives[0].maximize:
        merits = -merits
    reached = _best_mean(merits)
    domains = {one.name: one.domain for one in plan.space.searched}
    found = []
    for share in importance.shares:
        if share.significant:
            continue
        value = best.parameters[share.name]
        near = _near(domains[share.name], table.parameters[share.name][complete], value)
        cost = max(0.0, reached - _best_mean(merits[near]))
        found.append(FreezeSuggestion(share.name, value, cost, int(near.sum())))
    return tuple(found)


def _best_mean(merits: npt.NDArray[np.float64]) -> float:
    """Return the mean of the best tenth, rounded up to whole trials."""
    count = -(-len(merits) // _BEST_SHARE)
    return mean(np.partition(merits, len(merits) - count)[-count:])


def _near(domain: Domain, column: npt.NDArray[np.generic], value: Value) -> npt.NDArray[np.bool_]:
    """Tell which trials are near a value; for a searched logarithm its range counts."""
    if isinstance(domain, Categories):
        return np.asarray(column == domain.values.index(str(value)))
    if not isinstance(domain, (IntRange, DoubleRange)) or isinstance(value, str):
        raise TypeError("only ranges and words are searched")
    numbers, low, high = column.astype(np.float64), float(domain.low), float(domain.high)
    middle = float(value)
    if domain.log:
        numbers, low, high, middle = np.log(numbers), *map(math.log, (low, high, middle))
    # Halves, since the range of finite numbers may be infinite.
    reach = NEAR_SHARE * (high / 2 - low / 2) * (1 + _NOISE)
    return np.asarray(np.abs(numbers / 2 - middle / 2) <= reach)
