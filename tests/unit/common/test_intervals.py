"""Bar lengths and where bars open."""

from datetime import UTC, datetime

import pytest
from assay.market.v1 import candles_pb2
from hypothesis import given
from hypothesis import strategies as st

from services.common.intervals import Interval


def ms(text: str) -> int:
    """Return an ISO time in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def test_every_interval_has_the_number_of_the_contract() -> None:
    """The enum and the contract list the same lengths in the same order."""
    numbers = [value for value in candles_pb2.Interval.values() if value]

    assert [interval.number for interval in Interval] == numbers
    assert [Interval.from_number(number) for number in numbers] == list(Interval)


def test_a_number_outside_the_contract_is_refused() -> None:
    """Zero means that nothing was said."""
    with pytest.raises(ValueError, match="0"):
        Interval.from_number(0)


@pytest.mark.parametrize(
    ("interval", "time", "aligned"),
    [
        (Interval.HOUR_4, "2024-01-01T04:00", True),
        (Interval.HOUR_4, "2024-01-01T05:00", False),
        (Interval.WEEK_1, "2024-01-01T00:00", True),
        (Interval.WEEK_1, "2024-01-02T00:00", False),
        (Interval.MONTH_1, "2024-02-01T00:00", True),
        (Interval.MONTH_1, "2024-02-01T01:00", False),
        (Interval.MONTH_1, "2024-02-02T00:00", False),
    ],
)
def test_bars_open_where_the_contract_says(interval: Interval, time: str, aligned: bool) -> None:
    """1 January 2024 was a Monday."""
    assert interval.is_aligned(ms(time)) is aligned


@given(st.sampled_from(list(Interval)), st.integers(0, 5_000))
def test_counting_bars_undoes_stepping_over_them(interval: Interval, steps: int) -> None:
    """After n steps from an open time there are n bars between."""
    first = ms("2023-12-01T00:00") if interval is not Interval.WEEK_1 else ms("2023-12-04T00:00")
    time = first
    for _ in range(steps % 50):
        time = interval.next_open_ms(time)

    assert interval.is_aligned(time)
    assert interval.bars_between(first, time) == steps % 50
