"""Which few points tell what a whole space needs before it is searched."""

from __future__ import annotations

import itertools
from typing import Final

from services.optimizer.core.space import Categories, Fixed, Parameter, Space
from services.optimizer.core.trial import Point, Value

MOST_CATEGORY_POINTS: Final = 64


def corner_points(space: Space) -> list[Point]:
    """Return the points with every number at its high end, then the one at the low end.

    The high corner comes once per combination of words, for at most 64 combinations. Lookbacks
    never shrink when a number grows, so the longest is among these; a set that should need more
    fails visibly in its own trial. Constraints do not matter here.
    """
    choices = [_high(parameter) for parameter in space.parameters]
    combinations = itertools.islice(itertools.product(*choices), MOST_CATEGORY_POINTS)
    highs = [space.point(values) for values in combinations]
    low = space.point([_low(parameter) for parameter in space.parameters])
    return [*highs, low]


def _high(parameter: Parameter) -> tuple[Value, ...]:
    domain = parameter.domain
    if isinstance(domain, Categories):
        return domain.values
    return (domain.value,) if isinstance(domain, Fixed) else (domain.high,)


def _low(parameter: Parameter) -> Value:
    domain = parameter.domain
    if isinstance(domain, Categories):
        return domain.values[0]
    return domain.value if isinstance(domain, Fixed) else domain.low
