"""What can be wrong with a parameter: its domain as such, and against the strategy's rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final

from services.common.errors import Violation
from services.optimizer.core.spec.draft import ParameterRule, SearchKind
from services.optimizer.core.spec.search_checks import EXHAUSTIVE_SEARCHES
from services.optimizer.core.spec.space import (
    LARGEST_INT,
    Categories,
    Domain,
    DoubleRange,
    Fixed,
    IntRange,
    reachable_high,
)
from services.optimizer.core.trial import Value

MOST_CATEGORIES: Final = 100

_KIND_OF_FIELD: Final = {"int_range": "int", "double_range": "double", "categories": "category"}
_KIND_OF_VALUE: Final = {int: "int", float: "double", str: "category"}
_IN_WORDS: Final = {"int": "whole numbers", "double": "numbers", "category": "words"}


def domain_violations(path: str, domain: Domain, search: SearchKind | None) -> Iterator[Violation]:
    """Yield what is wrong with a domain whatever the strategy; `path` is the parameter's."""
    if isinstance(domain, Fixed):
        yield from _fixed_violations(f"{path}.fixed_value", domain.value)
    elif isinstance(domain, Categories):
        yield from _category_violations(f"{path}.categories.values", domain.values)
    else:
        yield from _range_violations(f"{path}.{field_of(domain)}", domain, search)


def rule_violations(path: str, domain: Domain, rule: ParameterRule) -> Iterator[Violation]:
    """Yield where a domain leaves what the strategy allows."""
    field = field_of(domain)
    kind = _KIND_OF_FIELD.get(field) or _KIND_OF_VALUE[type(getattr(domain, "value", 0))]
    if kind != rule.kind:
        yield Violation(
            f"{path}.{field}",
            f"gives {_IN_WORDS[kind]}, but {rule.name!r} takes {_IN_WORDS[rule.kind]}",
        )
    elif isinstance(domain, Categories):
        for index, word in enumerate(domain.values[:MOST_CATEGORIES]):
            yield from _word_violations(f"{path}.categories.values[{index}]", word, rule)
    elif isinstance(domain, Fixed):
        yield from _value_violations(f"{path}.fixed_value", domain.value, rule)
    else:
        yield from _value_violations(f"{path}.{field}.low", domain.low, rule)
        yield from _value_violations(f"{path}.{field}.high", domain.high, rule)


def field_of(domain: Domain) -> str:
    """Return the name of the contract's field that holds such a domain."""
    if isinstance(domain, IntRange):
        return "int_range"
    if isinstance(domain, DoubleRange):
        return "double_range"
    return "categories" if isinstance(domain, Categories) else "fixed_value"


def _fixed_violations(path: str, value: Value) -> Iterator[Violation]:
    if isinstance(value, str):
        return
    if not math.isfinite(value):
        yield Violation(f"{path}.double_value", f"must be finite, but is {value}")
    elif isinstance(value, int) and abs(value) > LARGEST_INT:
        yield Violation(f"{path}.int_value", "must be within +-2^53")


def _category_violations(path: str, values: tuple[str, ...]) -> Iterator[Violation]:
    if not 1 <= len(values) <= MOST_CATEGORIES:
        yield Violation(path, f"needs 1 to {MOST_CATEGORIES} words, but has {len(values)}")
    for word, count in Counter(values[:MOST_CATEGORIES]).items():
        if count > 1:
            yield Violation(path, f"holds {word!r} {count} times")


def _range_violations(
    path: str, domain: IntRange | DoubleRange, search: SearchKind | None
) -> Iterator[Violation]:
    ends = [*_end_violations(f"{path}.low", domain.low)]
    ends += _end_violations(f"{path}.high", domain.high)
    yield from ends
    if not ends and domain.low > domain.high:
        yield Violation(path, f"is inverted: low {domain.low} is above high {domain.high}")
    elif not ends:
        yield from _step_violations(path, domain)
    if domain.log and domain.step is not None:
        yield Violation(f"{path}.step", "cannot be given together with log")
    smallest = 1 if isinstance(domain, IntRange) else 0
    if domain.log and (domain.low < 1 if smallest else domain.low <= 0):
        wanted = "at least 1" if smallest else "above 0"
        yield Violation(f"{path}.low", f"must be {wanted} with log, but is {domain.low}")
    if search not in EXHAUSTIVE_SEARCHES:
        return
    told = "a grid" if search is SearchKind.GRID else "brute force"
    if domain.log:
        yield Violation(f"{path}.log", f"is not for {told}: give a step")
    elif isinstance(domain, DoubleRange) and domain.step is None:
        yield Violation(f"{path}.step", f"is required for {told}")


def _end_violations(path: str, end: float) -> Iterator[Violation]:
    if not math.isfinite(end):
        yield Violation(path, f"must be finite, but is {end}")
    elif isinstance(end, int) and abs(end) > LARGEST_INT:
        yield Violation(path, "must be within +-2^53")


def _step_violations(path: str, domain: IntRange | DoubleRange) -> Iterator[Violation]:
    step = domain.step
    if step is None:
        return
    if not math.isfinite(step) or step <= 0:
        wanted = "at least 1" if isinstance(domain, IntRange) else "finite and above 0"
        yield Violation(f"{path}.step", f"must be {wanted}, but is {step}")
        return
    reachable = reachable_high(domain)
    if reachable is not None and not domain.log:
        yield Violation(
            f"{path}.step",
            f"high - low must be a multiple of step: from {domain.low} by {step} the range ends at "
            f"{reachable}, not at {domain.high}",
        )


def _value_violations(path: str, value: Value, rule: ParameterRule) -> Iterator[Violation]:
    if isinstance(value, str):
        yield from _word_violations(path, value, rule)
    elif rule.minimum is not None and value < rule.minimum:
        least = "above 0" if rule.minimum == math.ulp(0.0) else f"at least {rule.minimum:.15g}"
        yield Violation(path, f"is {value}, but {rule.name!r} must be {least}")
    elif rule.maximum is not None and value > rule.maximum:
        below_one = rule.maximum == math.nextafter(1.0, 0.0)
        most = "below 1" if below_one else f"at most {rule.maximum:.15g}"
        yield Violation(path, f"is {value}, but {rule.name!r} must be {most}")


def _word_violations(path: str, word: str, rule: ParameterRule) -> Iterator[Violation]:
    if word not in rule.categories:
        known = ", ".join(rule.categories)
        yield Violation(path, f"{word!r} is none of the words of {rule.name!r}: {known}")
