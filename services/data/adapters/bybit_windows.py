"""Windows of bars for an exchange that pages by time. Pure arithmetic on open times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from services.common.intervals import DAY_MS, Interval

PAGE_BARS: Final = 1_000
_MONDAY_MS: Final = 4 * DAY_MS
"""The first Monday after the epoch: bars of every fixed length open here."""


def floor_open_ms(interval: Interval, time_ms: int) -> int:
    """Return the open time of the bar that holds `time_ms`."""
    if interval is Interval.MONTH_1:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1000
    return time_ms - (time_ms - _MONDAY_MS) % interval.length_ms


def ceiling_open_ms(interval: Interval, time_ms: int) -> int:
    """Return the first open time at or after `time_ms`."""
    open_ms = floor_open_ms(interval, time_ms)
    return open_ms if open_ms == time_ms else interval.next_open_ms(open_ms)


def page_end_ms(interval: Interval, start_ms: int, end_ms: int) -> int:
    """Return where a page that begins at `start_ms` ends: after 1,000 bars, or at `end_ms`."""
    stop_ms = start_ms
    for _ in range(PAGE_BARS):
        stop_ms = interval.next_open_ms(stop_ms)
        if stop_ms >= end_ms:
            return end_ms
    return stop_ms


def closed_bar_count(interval: Interval, start_ms: int, end_ms: int, now_ms: int) -> int:
    """Return how many bars of [start_ms, end_ms) are closed at `now_ms` if none is missing.

    `start_ms` is an open time.
    """
    closed_end_ms = min(end_ms, floor_open_ms(interval, now_ms))
    return max(interval.bars_between(start_ms, ceiling_open_ms(interval, closed_end_ms)), 0)
