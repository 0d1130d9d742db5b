"""A sync asks for what is missing and merges by time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.core.grid import bars_in, first_open_from, last_open_until
from services.data.core.moments import from_iso
from services.data.core.ports import Span
from services.data.core.sync import merge, plan

HOUR = 3_600_000


def test_an_empty_dataset_wants_the_whole_window() -> None:
    """Nothing stored: the window is fetched whole."""
    todo = plan(np.array([], np.int64), Span(0, 10 * HOUR), Interval.HOUR_1)
    assert todo.spans == (Span(0, 10 * HOUR),)
    assert todo.expected_row_count == 10


def test_the_last_stored_bar_is_fetched_again() -> None:
    """An update begins with the bar stored last, to compare the two."""
    stored = np.arange(5) * HOUR
    todo = plan(stored, Span(4 * HOUR, 8 * HOUR), Interval.HOUR_1)
    assert todo.spans == (Span(4 * HOUR, 8 * HOUR),)


def test_older_bars_gaps_and_newer_bars_are_asked_for() -> None:
    """A window around a stored piece with a hole is fetched in three spans, oldest first."""
    stored = np.array([3, 4, 7, 8]) * HOUR
    todo = plan(stored, Span(0, 12 * HOUR), Interval.HOUR_1)
    assert todo.spans == (
        Span(0, 3 * HOUR),
        Span(5 * HOUR, 7 * HOUR),
        Span(8 * HOUR, 12 * HOUR),
    )
    assert todo.expected_row_count == 3 + 2 + 4


def test_a_window_inside_what_is_stored_asks_for_nothing() -> None:
    """What is there is not fetched twice."""
    todo = plan(np.arange(10) * HOUR, Span(2 * HOUR, 5 * HOUR), Interval.HOUR_1)
    assert todo.spans == ()


@given(st.sets(st.integers(0, 40), max_size=25), st.integers(0, 40), st.integers(1, 20))
def test_a_plan_covers_exactly_what_is_missing(held: set[int], start: int, length: int) -> None:
    """Every missing bar of the window lies in one span; of the stored ones only the last may."""
    stored = np.array(sorted(held), dtype=np.int64) * HOUR
    spans = plan(stored, Span(start * HOUR, (start + length) * HOUR), Interval.HOUR_1).spans
    asked = [
        number
        for number in range(70)
        for span in spans
        if span.start_ms <= number * HOUR < span.end_ms
    ]
    wanted = [number for number in range(start, start + length) if number not in held]
    again = [max(held)] if held and start <= max(held) < start + length else []
    assert asked == sorted(wanted + again)


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("time", ["2024-02-15T13:47:11.003", "2024-01-01", "1970-01-01"])
def test_the_first_open_is_on_the_grid_and_not_skipped(interval: Interval, time: str) -> None:
    """The grid's first open at or after a time is aligned, and the one before lies before."""
    moment = from_iso(time)
    first = first_open_from(moment, interval)
    assert interval.is_aligned(first)
    assert first >= moment
    assert bars_in(Span(moment, first), interval) == 0
    assert bars_in(Span(moment, interval.next_open_ms(first)), interval) == 1


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize(
    "time", ["2024-02-15T13:47:11.003", "2024-01-01", "2024-01-31T23:59:59.999"]
)
def test_the_forming_bar_holds_the_moment(interval: Interval, time: str) -> None:
    """The bar that is forming has opened, and the next one has not."""
    now = from_iso(time)
    forming = last_open_until(now, interval)
    assert interval.is_aligned(forming)
    assert forming <= now < interval.next_open_ms(forming)


def test_merging_keeps_what_is_stored_and_adds_what_is_new(
    bars: Callable[..., Candles], hour: int
) -> None:
    """An equal overlap changes nothing; new bars are told apart."""
    stored = bars([0, hour])
    merged = merge(stored, bars([hour, 2 * hour]))
    assert merged.revised is None
    assert isinstance(merged.fresh, Candles)
    assert merged.fresh.open_time_ms.tolist() == [2 * hour]
    joined = merged.joined(stored)
    assert isinstance(joined, Candles)
    assert joined.open_time_ms.tolist() == [0, hour, 2 * hour]


def test_a_revised_bar_takes_the_sources_new_values(
    bars: Callable[..., Candles], hour: int
) -> None:
    """Where the overlap differs, the source is right, and the first difference is told."""
    stored = bars([0, hour, 2 * hour])
    merged = merge(stored, bars([hour, 2 * hour], close=[101.0, 101.5]))
    assert isinstance(merged.revised, Candles)
    assert merged.first_revised_ms == 2 * hour
    assert merged.revised.close.tolist() == [101.0, 101.0, 101.5]
    assert stored.close.tolist() == [101.0, 101.0, 101.0]
