"""The point in the middle of what the windows of a walk forward have chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median_low

from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import accepts
from services.optimizer.core.trial import Point, Value


def stable_point(plan: StudyPlan, paths: Mapping[str, Sequence[Value]]) -> Point | None:
    """Return the middle of each searched parameter's values by window, fixed ones as they are.

    None where a constraint on parameters forbids that point.

    Args:
        plan: The study's plan.
        paths: At least one value of each searched parameter, by rising window.
    """
    point = {
        one.name: plan.space.fixed[one.name]
        if one.name in plan.space.fixed
        else middle(paths[one.name])
        for one in plan.space.parameters
    }
    return point if accepts(point, plan.constraints.on_parameters) else None


def middle(values: Sequence[Value]) -> Value:
    """Return the lower median of numbers, or the word that comes most often, the latest of equals.

    Both are values that were chosen, so that they are on the lattice.
    """
    numbers = [value for value in values if not isinstance(value, str)]
    if numbers:
        return median_low(numbers)
    last = {value: place for place, value in enumerate(values)}
    return max(last, key=lambda value: (values.count(value), last[value]))
