"""Windows of bars: every interval, every time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.intervals import DAY_MS, Interval
from services.data.adapters.bybit_windows import PAGE_BARS, closed_bar_count, page_end_ms
from services.data.core.grid import first_open_from, last_open_until

intervals = st.sampled_from(Interval)
times = st.integers(0, 40_000 * DAY_MS)


@given(intervals, times)
def test_every_time_lies_in_the_bar_it_is_floored_to(interval: Interval, time_ms: int) -> None:
    """The floor is on the grid, at or before the time, and the next bar opens after it."""
    open_ms = last_open_until(time_ms, interval)

    assert interval.is_aligned(open_ms)
    assert open_ms <= time_ms < interval.next_open_ms(open_ms)
    assert first_open_from(time_ms, interval) in {open_ms, interval.next_open_ms(open_ms)}
    assert first_open_from(time_ms, interval) >= time_ms


@given(intervals, times, st.integers(1, 3_500))
@settings(max_examples=50)
def test_pages_tile_the_window(interval: Interval, time_ms: int, bars: int) -> None:
    """Pages follow on each other without gap or overlap, full but for the last."""
    start_ms = end_ms = last_open_until(time_ms, interval)
    for _ in range(bars):
        end_ms = interval.next_open_ms(end_ms)

    counts = []
    page_start_ms = start_ms
    while page_start_ms < end_ms:
        stop_ms = page_end_ms(interval, page_start_ms, end_ms)
        counts.append(closed_bar_count(interval, page_start_ms, stop_ms, end_ms))
        page_start_ms = stop_ms

    assert sum(counts) == bars
    assert counts[:-1] == [PAGE_BARS] * (len(counts) - 1)


@given(intervals, times, st.integers(0, 2**40))
@settings(max_examples=50)
def test_closed_bars_are_those_that_end_by_now(
    interval: Interval, time_ms: int, later_ms: int
) -> None:
    """The count equals walking from bar to bar."""
    start_ms = last_open_until(time_ms, interval)
    end_ms = page_end_ms(interval, start_ms, start_ms + 10**15)
    now_ms = time_ms + later_ms % (2 * (end_ms - start_ms))

    walked, open_ms = 0, start_ms
    while open_ms < end_ms and interval.next_open_ms(open_ms) <= now_ms:
        walked, open_ms = walked + 1, interval.next_open_ms(open_ms)

    assert closed_bar_count(interval, start_ms, end_ms, now_ms) == walked
