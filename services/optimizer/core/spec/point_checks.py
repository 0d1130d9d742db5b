"""What can be wrong with the points a caller wants tried first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from services.common.errors import Violation
from services.optimizer.core.spec.domain_checks import domain_violations
from services.optimizer.core.spec.draft import StudyDraft
from services.optimizer.core.spec.draft_checks import MOST_PARAMETERS
from services.optimizer.core.spec.search_checks import EXHAUSTIVE_SEARCHES, MOST_STARTING_POINTS
from services.optimizer.core.spec.space import Categories, Domain, Fixed, IntRange, exact
from services.optimizer.core.spec.spelling import did_you_mean
from services.optimizer.core.trial import Value

GivenPoint = Sequence[tuple[str, Value | None]]
"""Names and values as they were given: any names, any number of times, None for no value."""


def point_violations(draft: StudyDraft, points: Sequence[GivenPoint]) -> Iterator[Violation]:
    """Yield what is wrong with the starting points of a draft.

    Searches that try every point take none; what these would say is not looked at.
    """
    if draft.search in EXHAUSTIVE_SEARCHES:
        return
    domains = {one.name: one.domain for one in draft.parameters[:MOST_PARAMETERS]}
    # What is wrong with a domain is told there, not once more for every point.
    sound = {
        name: domain
        for name, domain in domains.items()
        if domain is not None and not any(domain_violations("", domain, None))
    }
    for index, point in enumerate(points[:MOST_STARTING_POINTS]):
        yield from _one_point(f"spec.starting_points[{index}].parameters", point, domains, sound)


def is_inside(value: Value, domain: Domain) -> bool:
    """Tell whether a domain has a value, in its own type; the domain must be sound."""
    if isinstance(domain, Categories):
        return value in domain.values
    if isinstance(domain, Fixed):
        return type(value) is type(domain.value) and value == domain.value
    kind = int if isinstance(domain, IntRange) else float
    if not isinstance(value, kind) or not domain.low <= value <= domain.high:
        return False
    if domain.step is None:
        return True
    place = (exact(value) - exact(domain.low)) / Fraction(exact(domain.step))
    return domain.value_at(round(place)) == value


def _one_point(
    path: str,
    point: GivenPoint,
    domains: Mapping[str, Domain | None],
    sound: Mapping[str, Domain],
) -> Iterator[Violation]:
    counts = Counter(name for name, _ in point)
    searched = [name for name, domain in domains.items() if not isinstance(domain, Fixed)]
    missing = [name for name in searched if name not in counts]
    if missing:
        yield Violation(path, f"has no value of {', '.join(map(repr, missing))}")
    for place, (name, value) in enumerate(point[: 2 * MOST_PARAMETERS]):
        where = f"{path}[{place}]"
        if counts[name] > 1:
            yield Violation(f"{where}.name", f"{name!r} is given more than once")
        elif name not in searched:
            fixed = "is fixed" if name in domains else "is no parameter of this spec"
            yield Violation(f"{where}.name", f"{name!r} {fixed}{did_you_mean(name, missing)}")
        if value is None:
            yield Violation(f"{where}.value", "is required")
        elif name in searched and name in sound and not is_inside(value, sound[name]):
            yield Violation(f"{where}.value", _outside(value, sound[name]))


def _outside(value: Value, domain: Domain) -> str:
    if isinstance(domain, Categories):
        return f"{value!r} is none of {', '.join(domain.values)}"
    if isinstance(domain, Fixed):
        return f"must be {domain.value!r}"
    if isinstance(domain, IntRange) and not isinstance(value, int):
        return "must be a whole number, as int_value"
    if not isinstance(domain, IntRange) and not isinstance(value, float):
        return "must be a number, as double_value"
    steps = f" in steps of {domain.step}" if domain.step not in {None, 1} else ""
    return f"must be {domain.low} to {domain.high}{steps}, but is {value}"
