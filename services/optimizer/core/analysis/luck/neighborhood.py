"""What becomes of the objective when the best trial's parameters change a little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final

import numpy as np

from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import (
    Domain,
    DoubleRange,
    IntRange,
    accepts,
    exact,
)
from services.optimizer.core.trial import Point, Value

NEAR_SHARE: Final = 0.025
"""Part of a range without steps by which a number is moved."""


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """The objective around the best trial, in its own unit; None where no neighbour has one.

    Attributes:
        neighbor_count: Neighbours run.
        defined_count: Those with an objective.
        best: The best trial's.
        worst: The neighbours' worst.
        median: Their median.
        mean: Their mean.
        maximize: Whether larger is better.
    """

    neighbor_count: int
    defined_count: int
    best: float
    worst: float | None
    median: float | None
    mean: float | None
    maximize: bool

    def kept(self, value: float | None) -> float | None:
        """Return which share of the best trial's objective a value keeps; None where unsaid.

        A share is said of numbers above 0 alone: of a larger one that is better the value over the
        best, of a smaller one that is better the other way round.
        """
        if value is None:
            return None
        if self.maximize:
            return value / self.best if self.best > 0.0 else None
        return self.best / value if self.best > 0.0 and value > 0.0 else None

    @property
    def weak(self) -> bool:
        """Whether the median keeps less than half of the best, or most have no objective."""
        if not self.neighbor_count:
            return False
        kept = self.kept(self.median)
        return 2 * self.defined_count < self.neighbor_count or (kept is not None and kept < 0.5)


def neighbors(plan: StudyPlan, best: Point) -> list[Point]:
    """Return the points around one: one or two numbers moved by a step, others as they are.

    Where there are no steps, by a part of the range (of its logarithm where that is searched).
    Points outside the ranges or against a constraint on parameters are left out. In a fixed order.
    """
    moved = {
        one.name: list(_moved(one.domain, best[one.name]))
        for one in plan.space.searched
        if isinstance(one.domain, (IntRange, DoubleRange))
    }
    changes = [{name: value} for name, values in moved.items() for value in values]
    for first, second in combinations(moved, 2):
        changes += [
            {first: one, second: other} for one, other in product(moved[first], moved[second])
        ]
    points = [{**best, **change} for change in changes]
    return [point for point in points if accepts(point, plan.constraints.on_parameters)]


def _moved(domain: Domain, value: Value) -> Iterator[Value]:
    """Yield a number one step down and one step up, as far as the range goes."""
    if isinstance(value, str) or not isinstance(domain, (IntRange, DoubleRange)):
        return
    for sign in (-1, 1):
        number = _shifted(domain, value, sign)
        if domain.low <= number <= domain.high and number != value:
            yield number


def _shifted(domain: IntRange | DoubleRange, value: float, sign: int) -> float | int:
    if isinstance(domain, IntRange):
        return int(value) + sign * (domain.step or 1)
    if domain.step is not None:
        return float(exact(value) + sign * exact(domain.step))
    if domain.log:
        return value * math.exp(sign * NEAR_SHARE * math.log(domain.high / domain.low))
    return value + sign * NEAR_SHARE * (domain.high - domain.low)


def summary(values: Sequence[float | None], best: float, *, maximize: bool) -> Neighborhood:
    """Return what the neighbours' objectives come to; None for an undefined one."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return Neighborhood(len(values), 0, best, None, None, None, maximize)
    return Neighborhood(
        neighbor_count=len(values),
        defined_count=len(known),
        best=best,
        worst=float(known.min() if maximize else known.max()),
        median=float(np.median(known)),
        mean=math.fsum(known) / len(known),
        maximize=maximize,
    )
