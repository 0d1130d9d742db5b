"""Constraints: which keep points out of the search, which judge finished trials, and how.

A name means the parameter of the spec if there is one, else the metric. A constraint on parameters
alone is a filter of the space; one that names a metric is judged on every trial.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.common.errors import Violation
from services.optimizer.core.spec.expression import (
    COMPARISONS,
    Comparison,
    ExpressionError,
    parse_comparison,
)
from services.optimizer.core.spec.space import Exact, exact, exact_values
from services.optimizer.core.spec.spelling import did_you_mean
from services.optimizer.core.trial import Value


@dataclass(frozen=True, slots=True)
class Condition:
    """A constraint whose names are all known.

    Attributes:
        text: The constraint as written.
        names: The parameters and metrics it speaks of.
    """

    text: str
    names: frozenset[str]
    comparison: Comparison

    def holds(self, values: Mapping[str, Exact]) -> bool:
        """Tell whether it holds; where a division by zero leaves it undefined, it does not."""
        try:
            left, right = self.comparison.left(values), self.comparison.right(values)
        except ZeroDivisionError:
            return False
        return COMPARISONS[self.comparison.comparison](left, right)

    def value(self, values: Mapping[str, Exact]) -> float | None:
        """Return how far it is from holding: at most 0 exactly where it holds.

        For "a < b" and "a <= b" it is a - b, for "a > b" and "a >= b" it is b - a, for "a == b" the
        distance; where a strict comparison fails by equality it is the smallest positive normal
        number, so that the sign alone tells. None where a division by zero leaves it undefined.
        """
        try:
            left, right = self.comparison.left(values), self.comparison.right(values)
        except ZeroDivisionError:
            return None
        kind = self.comparison.comparison
        excess: Exact = left - right
        if kind in {">", ">="} or (kind == "==" and excess < 0):
            excess = -excess
        if COMPARISONS[kind](left, right):
            return min(_bounded(excess), 0.0)
        return max(_bounded(excess), sys.float_info.min)


def _bounded(number: Exact) -> float:
    """Return the nearest double, the largest finite one for numbers beyond."""
    try:
        return float(number)
    except OverflowError:
        return sys.float_info.max if number > 0 else -sys.float_info.max


@dataclass(frozen=True, slots=True)
class Constraints:
    """The constraints of a study, by what they speak of.

    Attributes:
        on_parameters: Those that keep points out of the search.
        on_metrics: Those that judge finished trials.
    """

    on_parameters: tuple[Condition, ...] = ()
    on_metrics: tuple[Condition, ...] = ()

    def values(
        self, point: Mapping[str, Value], metrics: Mapping[str, float]
    ) -> tuple[float, ...] | None:
        """Return one value per constraint on metrics, at most 0 where it holds.

        None where one of them cannot be judged, because a metric it names is undefined or a divisor
        is zero.
        """
        if not self.on_metrics:
            return ()
        named = frozenset().union(*(condition.names for condition in self.on_metrics))
        known = {name: value for name, value in metrics.items() if name in named}
        if not all(math.isfinite(value) for value in known.values()):
            return None
        numbers = {name: exact(value) for name, value in known.items()} | exact_values(point)
        if not named <= numbers.keys():
            return None
        found = [condition.value(numbers) for condition in self.on_metrics]
        return None if None in found else tuple(value for value in found if value is not None)


def read_constraints(
    texts: Sequence[str], numbers: frozenset[str], words: frozenset[str], metrics: frozenset[str]
) -> tuple[Constraints, list[Violation]]:
    """Read the constraints of a spec.

    Args:
        texts: The constraints as written.
        numbers: The numeric parameters of the spec.
        words: The categorical parameters of the spec.
        metrics: All metrics.

    Returns:
        The constraints that can be read, and what is wrong with the others, by proto path.
    """
    on_parameters: list[Condition] = []
    on_metrics: list[Condition] = []
    violations: list[Violation] = []
    for index, text in enumerate(texts):
        path = f"spec.constraints[{index}]"
        try:
            comparison = parse_comparison(text)
        except ExpressionError as error:
            violations.append(Violation(path, str(error)))
            continue
        problems = _name_problems(comparison, numbers, words, metrics)
        violations += [Violation(path, problem) for problem in problems]
        if not problems:
            condition = Condition(text, frozenset(comparison.names), comparison)
            (on_parameters if condition.names <= numbers else on_metrics).append(condition)
    return Constraints(tuple(on_parameters), tuple(on_metrics)), violations


def _name_problems(
    comparison: Comparison,
    numbers: frozenset[str],
    words: frozenset[str],
    metrics: frozenset[str],
) -> list[str]:
    problems = []
    if not comparison.names:
        problems.append("names neither a parameter nor a metric")
    for name, place in comparison.names.items():
        if name in words:
            problems.append(f"character {place}: {name!r} is a word; only numbers can be compared")
        elif name not in numbers and name not in metrics:
            hint = did_you_mean(name, numbers | metrics)
            problems.append(
                f"character {place}: {name!r} is neither a parameter of this spec nor a metric"
                f"{hint}"
            )
    return problems
