"""The grid bars open on: where it lies, how many bars it has, where some are missing. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.common.frames import Times
from services.common.intervals import DAY_MS, Interval
from services.data.core.dataset import Gap
from services.data.core.moments import FIRST_MS, LAST_MS
from services.data.core.ports import Span

Mask = npt.NDArray[np.bool_]

MONDAY_MS = 4 * DAY_MS
"""The epoch's first Monday, which lies on the grid of every interval but the month."""


def gaps_of(open_time_ms: Times, interval: Interval) -> list[Gap]:
    """Return every gap between open times that rise strictly on the interval's grid."""
    if interval is Interval.MONTH_1:
        places: Sequence[int] = range(len(open_time_ms) - 1)
    else:
        places = np.flatnonzero(np.diff(open_time_ms) != interval.length_ms).tolist()
    gaps = []
    for place in places:
        before, after = int(open_time_ms[place]), int(open_time_ms[place + 1])
        missing = interval.bars_between(before, after) - 1
        if missing:
            gaps.append(Gap(interval.next_open_ms(before), after, missing))
    return gaps


def aligned(moments: Times, interval: Interval) -> Mask:
    """Tell, for each time within 1970 to 9998, whether a bar may open there."""
    if interval is Interval.MONTH_1:
        inside = np.clip(moments, FIRST_MS, LAST_MS)
        return np.array([interval.is_aligned(int(moment)) for moment in inside], dtype=np.bool_)
    phase = MONDAY_MS if interval is Interval.WEEK_1 else 0
    return np.asarray((moments - phase) % interval.length_ms == 0)


def bars_in(span: Span, interval: Interval) -> int:
    """Return how many bars open in a span."""
    first, beyond = first_open_from(span.start_ms, interval), first_open_from(span.end_ms, interval)
    return max(interval.bars_between(first, beyond), 0)


def first_open_from(time_ms: int, interval: Interval) -> int:
    """Return the first open time of the grid at or after a time."""
    if interval is Interval.MONTH_1:
        day = -(-time_ms // DAY_MS) * DAY_MS
        while not interval.is_aligned(day):
            day += DAY_MS
        return day
    return MONDAY_MS - (MONDAY_MS - time_ms) // interval.length_ms * interval.length_ms


def last_open_until(time_ms: int, interval: Interval) -> int:
    """Return the last open time of the grid at or before a time.

    Of now it is the open time of the bar that is forming: every bar before it has closed.
    """
    if interval is Interval.MONTH_1:
        day = time_ms // DAY_MS * DAY_MS
        while not interval.is_aligned(day):
            day -= DAY_MS
        return day
    return first_open_from(time_ms - interval.length_ms + 1, interval)
