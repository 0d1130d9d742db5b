"""How the outcomes of one point over several datasets become one."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from services.optimizer.core.spec.constraints import Constraints
from services.optimizer.core.trial import Outcome, Value

MOST_DATA: Final = 32
"""Most datasets of a study."""

MOST_RUNS: Final = 16_384
"""Runs of one generation over all datasets: what is held in memory at once."""


_HUGE: Final = 1e300
"""Sums of larger numbers may be more than a double can hold."""


class AggregationRule(enum.Enum):
    """What several values become; the value is that of `assay.optimizer.v1.DataAggregation.Rule`.

    WORST is the smallest of what is maximised, the largest of what is minimised.
    """

    MEAN = 1
    MEDIAN = 2
    WORST = 3


@dataclass(frozen=True, slots=True)
class DataAggregation:
    """The datasets of a study, two or more, and what their outcomes become.

    Attributes:
        rule: What the values of an objective become.
        datasets: Their names, in order; one may be there twice, over other bars.
        whole_metrics: Names of the metrics that are whole numbers, and stay so.
    """

    rule: AggregationRule
    datasets: tuple[str, ...]
    whole_metrics: frozenset[str] = frozenset()


def aggregated(
    rule: AggregationRule, values: Sequence[float], *, maximize: bool = True
) -> float | None:
    """Return what one or more values become, whatever their order; a zero is never negative.

    None where that is no number, as the mean of two opposite infinities.
    """
    if rule is AggregationRule.WORST:
        return (min(values) if maximize else max(values)) + 0.0
    if rule is AggregationRule.MEDIAN:
        middle = len(values) // 2
        ranked = sorted(values)
        return _mean(ranked[middle : middle + 1] if len(values) % 2 else ranked[middle - 1 :][:2])
    return _mean(values)


def _mean(values: Sequence[float]) -> float | None:
    count = len(values)
    # What is infinite hides all else, and outgrows no sum.
    told = [value for value in values if math.isinf(value)] or values
    # Exact, so that the order of the datasets does not show.
    if _HUGE < max(map(abs, told)) < math.inf:
        return float(sum(map(Fraction, told)) / count) + 0.0
    try:
        return math.fsum(told) / count + 0.0
    except ValueError:
        return None


def constraint_values(
    constraints: Constraints, point: Mapping[str, Value], outcome: Outcome
) -> tuple[float, ...] | None:
    """Return one value per constraint on metrics, at most 0 where it holds on every dataset.

    The largest over the datasets. None where one cannot be judged on one of them.
    """
    if not outcome.dataset_results:
        return constraints.values(point, outcome.metrics)
    told = [constraints.values(point, one.metrics) for one in outcome.dataset_results]
    known = [values for values in told if values is not None]
    return tuple(map(max, zip(*known, strict=True))) if len(known) == len(told) else None
