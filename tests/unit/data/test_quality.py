"""Rows are stored as they are or refused with every kind of violation told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.core.dataset import LISTED_GAPS, Gap
from services.data.core.grid import gaps_of
from services.data.core.moments import from_iso
from services.data.core.ports import FundingRates
from services.data.core.quality import Acceptance, Upload, check, report_of

Bars = Callable[..., Candles]
EVERYTHING = frozenset(Acceptance)


def refused(
    rows: Candles | FundingRates,
    interval: Interval | None = Interval.HOUR_1,
    accept: frozenset[Acceptance] = frozenset(),
) -> dict[str, list[str]]:
    """Return what the check says, by field."""
    with pytest.raises(AssayError) as caught:
        check(Upload(rows), interval, accept)
    error = caught.value
    assert error.reason == "CANDLES_INVALID"
    assert error.metadata["violation_count"] == str(len(error.violations))
    told: dict[str, list[str]] = {}
    for violation in error.violations:
        told.setdefault(violation.field, []).append(violation.description)
    return told


def test_sound_bars_are_stored_as_they_are(bars: Bars, hour: int) -> None:
    """A check of sound bars changes no bit and finds nothing."""
    rows = bars([0, hour, 2 * hour])
    checked = check(Upload(rows), Interval.HOUR_1)
    assert checked.rows.content_digest() == rows.content_digest()
    assert checked.report.gap_count == 0


def test_every_kind_of_violation_is_told_in_one_error(bars: Bars, hour: int) -> None:
    """One bad file gives one error with each kind, its count, first row and time."""
    rows = bars(
        [0, 2 * hour, hour, hour, hour, 5 * hour, 6 * hour + 1],
        open=[100, 100, 100, 100, 100, np.nan, 100],
        high=[102, 97, 102, 102, 100.5, 102, 102],
        low=[98, 98, 98, 98, 98, 98, 101],
        close=[101, 101, 101, 101, 101, 101, -3],
        volume=[5, 5, 5, 5, 5, np.inf, -1],
    )
    told = refused(rows)
    assert told["candles.open"] == [
        "1 row is not a finite number, first row 6 (1970-01-01T05:00:00Z)"
    ]
    assert told["candles.high"] == [
        "1 row is below low, first row 2 (1970-01-01T02:00:00Z)",
        "2 rows are below open or close, first row 2 (1970-01-01T02:00:00Z)",
    ]
    assert told["candles.low"] == [
        "1 row is above open or close, first row 7 (1970-01-01T06:00:00.001Z)"
    ]
    assert told["candles.close"] == [
        "1 row is not above zero, first row 7 (1970-01-01T06:00:00.001Z)"
    ]
    assert [text.split(",")[0] for text in told["candles.volume"]] == [
        "1 row is not a finite number",
        "1 row is negative",
    ]
    assert [text.split(", first")[0] for text in told["candles.open_time_ms"]] == [
        "1 row is not on the grid of 1h bars",
        "3 rows are earlier than a row before",
        "1 row is equal to a row before of the same time",
        "1 row is different from a row before of the same time",
        "1 gap lacks 2 bars",
    ]


def test_what_is_accepted_is_mended_and_counted(bars: Bars, hour: int) -> None:
    """Gaps stay, equal copies are stored once, rows are sorted; each is counted."""
    rows = bars([5 * hour, 0, hour, hour], volume=[1, 2, 0, 0])
    checked = check(Upload(rows), Interval.HOUR_1, EVERYTHING)
    assert isinstance(checked.rows, Candles)
    assert checked.rows.open_time_ms.tolist() == [0, hour, 5 * hour]
    assert checked.rows.volume.tolist() == [2, 0, 1]
    report = checked.report
    assert report.gaps == (Gap(2 * hour, 5 * hour, 3),)
    assert (report.gap_count, report.missing_bar_count) == (1, 3)
    assert (report.dropped_duplicate_count, report.sorted_row_count) == (1, 3)
    assert report.zero_volume_bar_count == 1


@pytest.mark.parametrize("missing", list(Acceptance))
def test_each_acceptance_covers_its_own_defect_only(
    bars: Bars, hour: int, missing: Acceptance
) -> None:
    """Leaving one acceptance out refuses exactly its defect."""
    rows = bars([5 * hour, 0, hour, hour])
    told = refused(rows, accept=EVERYTHING - {missing})
    assert list(told) == ["candles.open_time_ms"]
    assert len(told["candles.open_time_ms"]) == 1
    assert missing.value in told["candles.open_time_ms"][0]


def test_differing_copies_are_refused_whatever_is_accepted(bars: Bars) -> None:
    """Two candles of one time cannot both be right."""
    rows = bars([0, 0], close=[101, 101.5])
    assert "different" in refused(rows, accept=EVERYTHING)["candles.open_time_ms"][0]


def test_no_rows_are_refused() -> None:
    """An empty file stores nothing and says so."""
    assert refused(Candles.empty()) == {"candles": ["there are no rows"]}
    assert refused(FundingRates.empty(), None) == {"funding": ["there are no rows"]}


def test_times_in_another_unit_are_found(bars: Bars) -> None:
    """Microseconds taken for milliseconds lie beyond the year 9998."""
    told = refused(bars([1_704_067_200_000_000]))
    assert told["candles.open_time_ms"][0].startswith("1 row is outside the years 1970 to 9998")


def test_a_row_beside_the_grid_is_told_once(bars: Bars, hour: int) -> None:
    """A bar half an hour late is no gap as well."""
    rows = bars([0, hour, hour + hour // 2])
    told = refused(rows)
    assert told == {
        "candles.open_time_ms": [
            "1 row is not on the grid of 1h bars, first row 3 (1970-01-01T01:30:00Z)"
        ]
    }


def test_funding_has_neither_grid_nor_gaps() -> None:
    """Settlements a few ms after the hour, and hours apart, are sound."""
    rates = FundingRates.from_columns([[7, 28_800_003, 90_000_000], [1e-4, -1e-4, 0.0]])
    assert check(Upload(rates), None).rows is not None
    broken = FundingRates.from_columns([[5, 4], [np.nan, 0.0]])
    told = refused(broken, None)
    assert set(told) == {"funding.funding_time_ms", "funding.funding_rate_ratio"}


@pytest.mark.parametrize(
    ("interval", "first", "second", "missing"),
    [
        (Interval.MONTH_1, "2024-01-01", "2024-03-01", 1),
        (Interval.MONTH_1, "2023-12-01", "2024-01-01", 0),
        (Interval.WEEK_1, "2024-01-01", "2024-01-22", 2),
        (Interval.DAY_1, "2024-02-28", "2024-03-01", 1),
    ],
)
def test_gaps_follow_the_calendar(
    interval: Interval, first: str, second: str, missing: int
) -> None:
    """Months, weeks and leap days are counted as bars, not as spans of equal length."""
    times = np.array([from_iso(first), from_iso(second)])
    assert sum(gap.missing_bar_count for gap in gaps_of(times, interval)) == missing


@pytest.mark.parametrize(
    ("interval", "time", "fits"),
    [
        (Interval.WEEK_1, "2024-01-01", True),
        (Interval.WEEK_1, "2024-01-04", False),
        (Interval.MONTH_1, "2024-02-01", True),
        (Interval.MONTH_1, "2024-02-02", False),
        (Interval.HOUR_12, "2024-02-02T12:00", True),
        (Interval.HOUR_12, "2024-02-02T06:00", False),
    ],
)
def test_bars_open_on_their_grid(bars: Bars, interval: Interval, time: str, fits: bool) -> None:
    """Weeks open on Mondays, months on their first day."""
    rows = bars([from_iso(time)])
    if fits:
        assert len(check(Upload(rows), interval).rows) == 1
    else:
        assert "not on the grid" in refused(rows, interval)["candles.open_time_ms"][0]


def test_at_most_a_thousand_gaps_are_listed_and_all_are_counted(bars: Bars, hour: int) -> None:
    """A dataset full of holes has a report of bounded size."""
    rows = bars([2 * hour * number for number in range(LISTED_GAPS + 51)])
    report = report_of(rows, Interval.HOUR_1)
    assert report.gap_count == LISTED_GAPS + 50
    assert len(report.gaps) == LISTED_GAPS


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_mending_equals_sorting_the_distinct_bars(numbers: list[int], random: object) -> None:
    """With everything accepted, what is stored is the sorted set of bars, whatever the order."""
    rows = Candles.from_columns(
        [
            [number * 3_600_000 for number in numbers],
            *([float(number + 1) for number in numbers] for _ in range(5)),
        ]
    )
    checked = check(Upload(rows), Interval.HOUR_1, EVERYTHING)
    assert isinstance(checked.rows, Candles)
    wanted = sorted(set(numbers))
    assert checked.rows.open_time_ms.tolist() == [number * 3_600_000 for number in wanted]
    assert checked.rows.close.tolist() == [number + 1 for number in wanted]
    assert checked.report.dropped_duplicate_count == len(numbers) - len(wanted)
    assert checked.report.missing_bar_count == wanted[-1] - wanted[0] + 1 - len(wanted)
