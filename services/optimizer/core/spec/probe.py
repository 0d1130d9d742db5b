"""Which few points tell what a whole space needs before it is searched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from services.optimizer.core.spec.draft import StudyDraft
from services.optimizer.core.spec.draft_checks import MOST_PARAMETERS
from services.optimizer.core.spec.space import Categories, Fixed, Parameter, Space
from services.optimizer.core.trial import Point, Value

MOST_CATEGORY_POINTS: Final = 64
MOST_CORNERS: Final = 256


def corner_points(space: Space, *, known_strategy: bool = True) -> list[Point]:
    """Return the points with every number at its high end, then the one at the low end.

    The high corner comes once per combination of words, for at most 64 combinations. Lookbacks of
    the known strategies never shrink when a number grows, so the longest is among these. With a
    caller's own definition they may, so that the other corners stand between the two, at most 256
    points in all. A set that should need more fails visibly in its own trial. Constraints do not
    matter here.
    """
    choices = [_high(parameter) for parameter in space.parameters]
    combinations = itertools.islice(itertools.product(*choices), MOST_CATEGORY_POINTS)
    points = [space.point(values) for values in combinations]
    if not known_strategy:
        points += itertools.islice(_mixed(space), MOST_CORNERS - len(points) - 1)
    points.append(space.point([_low(parameter) for parameter in space.parameters]))
    return points


def _mixed(space: Space) -> Iterator[Point]:
    """Yield the corners with some numbers high and some low, those with one low first."""
    numbers = [
        place
        for place, one in enumerate(space.parameters)
        if not isinstance(one.domain, (Categories, Fixed))
    ]
    for count in range(1, len(numbers)):
        for lows in itertools.combinations(numbers, count):
            choices = [
                (_low(one),) if place in lows else _high(one)
                for place, one in enumerate(space.parameters)
            ]
            combinations = itertools.product(*choices)
            yield from map(space.point, itertools.islice(combinations, MOST_CATEGORY_POINTS))


def low_point(draft: StudyDraft) -> Point:
    """Return a draft's parameters at the low ends of their domains, whatever is wrong with them.

    Those without a domain, or with an empty one, are left out.
    """
    named = {one.name: one for one in draft.parameters[:MOST_PARAMETERS]}
    return {
        name: _low(Parameter(name, one.domain))
        for name, one in named.items()
        if one.domain is not None and one.domain != Categories(())
    }


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
