"""What can be wrong with a walk forward as far as the spec alone tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from services.common.errors import Violation
from services.common.intervals import Interval
from services.optimizer.core.walk_forward.rule import (
    MOST_OUT_OF_SAMPLE_BARS,
    SHORTEST_SPAN,
    BarSpan,
    Criteria,
    Matrix,
    WalkForward,
)

MOST_LENGTHS: Final = 20
"""Lengths of each side of a matrix."""

_MOST_BARS: Final = 10_000_000
_MOST_DAYS: Final = 36_500
_PATH: Final = "spec.walk_forward"


def walk_forward_violations(rule: WalkForward, interval: Interval | None) -> Iterator[Violation]:
    """Yield what is wrong with a walk forward on bars of an interval, None where that is unknown.

    That step and purge may be left out is the reader's matter, and so are lengths beside a matrix.
    """
    outside = ("out_of_sample", rule.out_of_sample, SHORTEST_SPAN, MOST_OUT_OF_SAMPLE_BARS)
    if rule.matrix is None:
        yield from _span_violations(
            "in_sample", rule.in_sample, SHORTEST_SPAN, _MOST_BARS, interval
        )
        yield from _span_violations(*outside, interval)
        yield from _span_violations("step", rule.step or BarSpan(1), 1, _MOST_BARS, interval)
    else:
        if rule.out_of_sample is not None:
            yield from _span_violations(*outside, interval)
        yield from _matrix_violations(rule.matrix, rule.out_of_sample is None, interval)
    yield from _span_violations("purge", rule.purge, 0, _MOST_BARS, interval)
    yield from _criteria_violations(rule.criteria)


def _span_violations(
    name: str, span: BarSpan | None, least: int, most: int, interval: Interval | None
) -> Iterator[Violation]:
    path = f"{_PATH}.{name}"
    if span is None:
        yield Violation(path, "is required, in days or bars")
    elif not 0 <= span.count <= (_MOST_DAYS if span.in_days else _MOST_BARS):
        yield Violation(path, f"is out of bounds: {span.count:,}")
    elif interval is not None:
        bars = span.bars(interval)
        if bars is None:
            told = f"{span.count} days are no whole number of bars of {interval.value}"
            yield Violation(path, told)
        elif not least <= bars <= most:
            yield Violation(path, f"must be {least:,} to {most:,} bars, but is {bars:,}")


def _matrix_violations(
    matrix: Matrix, steps_are_outside: bool, interval: Interval | None
) -> Iterator[Violation]:
    """Yield what is wrong with the lengths of a matrix; steps may be out-of-sample lengths too."""
    of_steps = (SHORTEST_SPAN, MOST_OUT_OF_SAMPLE_BARS) if steps_are_outside else (1, _MOST_BARS)
    for name, spans, least, most in (
        ("in_samples", matrix.in_samples, SHORTEST_SPAN, _MOST_BARS),
        ("steps", matrix.steps, *of_steps),
    ):
        path = f"matrix.{name}"
        if not 1 <= len(spans) <= MOST_LENGTHS:
            told = f"must have 1 to {MOST_LENGTHS} entries, but has {len(spans):,}"
            yield Violation(f"{_PATH}.{path}", told)
        for place, span in enumerate(spans[:MOST_LENGTHS]):
            yield from _span_violations(f"{path}[{place}]", span, least, most, interval)
            if span is not None and _length(span, interval) in _lengths(spans[:place], interval):
                yield Violation(f"{_PATH}.{path}[{place}]", "is given before")


def _lengths(spans: Sequence[BarSpan | None], interval: Interval | None) -> list[int | BarSpan]:
    return [_length(span, interval) for span in spans if span is not None]


def _length(span: BarSpan, interval: Interval | None) -> int | BarSpan:
    """Return what equal lengths have in common: their bars, where these are known."""
    bars = None if interval is None else span.bars(interval)
    return span if bars is None else bars


def _criteria_violations(criteria: Criteria) -> Iterator[Violation]:
    rate, share = criteria.min_positive_window_rate, criteria.max_single_window_share
    drawdown, least = criteria.max_drawdown_ratio, criteria.min_total_return_ratio
    for name, wanted, good in (
        ("min_positive_window_rate", "0 to 1", 0 <= rate <= 1),
        (
            "min_walk_forward_efficiency",
            "finite",
            math.isfinite(criteria.min_walk_forward_efficiency),
        ),
        ("max_single_window_share", "above 0 and finite", share > 0 and math.isfinite(share)),
        ("max_drawdown_ratio", "above 0 up to 1", 0 < drawdown <= 1),
        ("min_total_return_ratio", "-1 or more and finite", least >= -1 and math.isfinite(least)),
    ):
        if not good:
            yield Violation(f"{_PATH}.criteria.{name}", f"must be {wanted}")
