"""How a study walks forward, and what can be wrong with it as far as the spec alone tells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from services.common.errors import Violation
from services.common.intervals import DAY_MS, Interval

MOST_WINDOWS: Final = 500
MOST_GENERATION: Final = 16_384
"""Trials of one generation over all windows: what is held in memory at once."""

MOST_OUT_OF_SAMPLE_BARS: Final = 100_000
"""Longest equity curve a worker tells."""

SHORTEST_SPAN: Final = 2
"""Bars of the shortest span: one for a decision, one for its fill."""

_MOST_BARS: Final = 10_000_000
_MOST_DAYS: Final = 36_500
_PATH: Final = "spec.walk_forward"


@dataclass(frozen=True, slots=True)
class BarSpan:
    """A length of time as it was given: `count` bars, or days."""

    count: int
    in_days: bool = False

    def bars(self, interval: Interval) -> int | None:
        """Return the length in bars; None where it is no whole number of them."""
        if not self.in_days:
            return self.count
        if interval is Interval.MONTH_1:
            return None
        bars, rest = divmod(self.count * DAY_MS, interval.length_ms)
        return None if rest else bars


@dataclass(frozen=True, slots=True)
class Criteria:
    """When a walk forward counts as passed; the fields are those of `WalkForwardCriteria`."""

    min_positive_window_rate: float = 0.5
    min_walk_forward_efficiency: float = 0.5
    max_single_window_share: float = 0.5
    max_drawdown_ratio: float = 0.4
    min_total_return_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """Bars by their open times, [start, end), ms since the epoch."""

    start_ms: int
    end_ms: int

    @property
    def days(self) -> float:
        """Its length in days."""
        return (self.end_ms - self.start_ms) / DAY_MS


@dataclass(frozen=True, slots=True)
class Window:
    """What a window's search sees, and what it does not see."""

    in_sample: Span
    out_of_sample: Span


@dataclass(frozen=True, slots=True)
class WalkForward:
    """How a study walks forward.

    Attributes:
        in_sample: Length of the first in-sample span; None where it was not given.
        out_of_sample: Length of the out-of-sample spans; None where it was not given.
        step: Distance of the windows; None: out_of_sample.
        purge: What is left out between the two spans of a window.
        anchored: Whether in-sample spans all begin at the start.
        compounded: Whether the criteria look at the compounded curve.
        criteria: When it counts as passed.
        windows: The windows; empty until they are pinned.
    """

    in_sample: BarSpan | None
    out_of_sample: BarSpan | None
    step: BarSpan | None = None
    purge: BarSpan = BarSpan(0)
    anchored: bool = False
    compounded: bool = False
    criteria: Criteria = Criteria()
    windows: tuple[Window, ...] = ()

    @property
    def overlapping(self) -> bool:
        """Whether out-of-sample spans overlap."""
        spans = [window.out_of_sample for window in self.windows]
        return any(one.end_ms > other.start_ms for one, other in pairwise(spans))


def walk_forward_violations(rule: WalkForward, interval: Interval | None) -> Iterator[Violation]:
    """Yield what is wrong with a walk forward on bars of an interval, None where that is unknown.

    That step and purge may be left out is the reader's matter.
    """
    lengths = (
        ("in_sample", rule.in_sample, SHORTEST_SPAN, _MOST_BARS),
        ("out_of_sample", rule.out_of_sample, SHORTEST_SPAN, MOST_OUT_OF_SAMPLE_BARS),
        ("step", rule.step or BarSpan(1), 1, _MOST_BARS),
        ("purge", rule.purge, 0, _MOST_BARS),
    )
    for name, span, least, most in lengths:
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
    yield from _criteria_violations(rule.criteria)


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
