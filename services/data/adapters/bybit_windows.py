"""Windows of bars for an exchange that pages by time. Pure arithmetic on open times."""

from __future__ import annotations

from typing import Final

from services.common.intervals import Interval
from services.data.core.grid import bars_in, last_open_until
from services.data.core.ports import Span

PAGE_BARS: Final = 1_000


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
    return bars_in(Span(start_ms, min(end_ms, last_open_until(now_ms, interval))), interval)
