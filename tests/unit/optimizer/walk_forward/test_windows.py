"""Where windows lie: arithmetic by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.common.errors import AssayError, Code
from services.common.intervals import DAY_MS, Interval
from services.optimizer.core.walk_forward.rule import (
    BarSpan,
    Criteria,
    Span,
    WalkForward,
)
from services.optimizer.core.walk_forward.rule_checks import walk_forward_violations
from services.optimizer.core.walk_forward.windows import first_open_ms, windows_of


def at(year: int, month: int, day: int, hour: int = 0) -> int:
    """Return a time in ms."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * 1000


YEAR = Span(at(2024, 1, 1), at(2025, 1, 1))
"""366 days."""


def days(count: int) -> BarSpan:
    """Return a length in days."""
    return BarSpan(count, in_days=True)


def rule_of(
    step: BarSpan | None = None, purge: BarSpan | None = None, *, anchored: bool = False
) -> WalkForward:
    """Return the rule of 120 and 60 days."""
    return WalkForward(days(120), days(60), step, purge or BarSpan(0), anchored)


@pytest.mark.parametrize(("step", "count"), [(None, 4), (60, 4), (30, 7), (246, 1), (186, 2)])
def test_a_year_of_hours_holds_as_many_windows_as_fit_whole(step: int | None, count: int) -> None:
    """366 days, 120 in and 60 out of sample: floor((366 - 180) / step) + 1."""
    rule = rule_of(None if step is None else days(step))

    assert len(windows_of(rule, Interval.HOUR_1, YEAR)) == count


def test_rolling_windows_move_both_ends() -> None:
    """The second of four windows begins 60 days after the first."""
    windows = windows_of(rule_of(), Interval.HOUR_1, YEAR)

    assert windows[0].in_sample == Span(at(2024, 1, 1), at(2024, 4, 30))
    assert windows[0].out_of_sample == Span(at(2024, 4, 30), at(2024, 6, 29))
    assert windows[1].in_sample == Span(at(2024, 3, 1), at(2024, 6, 29))
    assert windows[3].out_of_sample == Span(at(2024, 10, 27), at(2024, 12, 26))


def test_anchored_windows_keep_their_begin() -> None:
    """All begin with the year; ends and out-of-sample spans are those of rolling ones."""
    anchored = windows_of(rule_of(anchored=True), Interval.HOUR_1, YEAR)
    rolling = windows_of(rule_of(), Interval.HOUR_1, YEAR)

    assert {one.in_sample.start_ms for one in anchored} == {at(2024, 1, 1)}
    assert [one.in_sample.end_ms for one in anchored] == [one.in_sample.end_ms for one in rolling]
    assert [one.out_of_sample for one in anchored] == [one.out_of_sample for one in rolling]


@pytest.mark.parametrize(("purge", "count"), [(6 * 24, 4), (6 * 24 + 1, 3), (0, 4)])
def test_a_purge_lies_between_the_spans_and_costs_room(purge: int, count: int) -> None:
    """Six days are left over by four windows; an hour more leaves three."""
    windows = windows_of(rule_of(purge=BarSpan(purge)), Interval.HOUR_1, YEAR)

    assert len(windows) == count
    for one in windows:
        assert one.out_of_sample.start_ms - one.in_sample.end_ms == purge * 3_600_000


def test_too_few_bars_are_refused_with_needed_and_available_ones() -> None:
    """One bar less than one window needs is no window."""
    rule = WalkForward(BarSpan(60), BarSpan(30), purge=BarSpan(5))
    begin = at(2024, 1, 1)

    assert len(windows_of(rule, Interval.DAY_1, Span(begin, begin + 95 * DAY_MS))) == 1
    with pytest.raises(AssayError) as refused:
        windows_of(rule, Interval.DAY_1, Span(begin, begin + 94 * DAY_MS))

    assert (refused.value.code, refused.value.reason) == (
        Code.FAILED_PRECONDITION,
        "WINDOW_TOO_SHORT",
    )
    assert refused.value.metadata == {"needed_bar_count": "95", "available_bar_count": "94"}


def test_a_span_that_begins_between_opens_begins_with_the_next_one() -> None:
    """Bars are those whose open lies inside, for hours, weeks and months alike."""
    assert first_open_ms(Interval.HOUR_1, at(2024, 1, 1, 5) + 1) == at(2024, 1, 1, 6)
    assert first_open_ms(Interval.HOUR_1, at(2024, 1, 1, 5)) == at(2024, 1, 1, 5)
    assert first_open_ms(Interval.WEEK_1, at(2024, 1, 2)) == at(2024, 1, 8)
    assert first_open_ms(Interval.MONTH_1, at(2024, 1, 2)) == at(2024, 2, 1)


def test_months_walk_by_their_own_lengths() -> None:
    """Six months in, three out of sample: three windows in 15 months."""
    rule = WalkForward(BarSpan(6), BarSpan(3))

    windows = windows_of(rule, Interval.MONTH_1, Span(at(2023, 1, 1), at(2024, 4, 1)))

    assert [one.out_of_sample for one in windows] == [
        Span(at(2023, 7, 1), at(2023, 10, 1)),
        Span(at(2023, 10, 1), at(2024, 1, 1)),
        Span(at(2024, 1, 1), at(2024, 4, 1)),
    ]


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (WalkForward(None, None), ["in_sample", "out_of_sample"]),
        (
            WalkForward(BarSpan(1), BarSpan(100_001), BarSpan(0), BarSpan(-1)),
            ["in_sample", "out_of_sample", "step", "purge"],
        ),
        (WalkForward(days(7), days(1)), []),
        (
            WalkForward(
                days(7), days(7), criteria=Criteria(1.5, float("nan"), 0.0, 1.5, float("inf"))
            ),
            [
                "criteria.min_positive_window_rate",
                "criteria.min_walk_forward_efficiency",
                "criteria.max_single_window_share",
                "criteria.max_drawdown_ratio",
                "criteria.min_total_return_ratio",
            ],
        ),
    ],
)
def test_everything_wrong_is_told(rule: WalkForward, fields: list[str]) -> None:
    """By the field it stands in."""
    found = [one.field for one in walk_forward_violations(rule, Interval.HOUR_1)]

    assert found == [f"spec.walk_forward.{field}" for field in fields]


def test_days_that_are_no_whole_number_of_bars_are_refused() -> None:
    """Ten days are no whole number of weeks, and no number of months at all."""
    rule = WalkForward(days(14), days(10))

    assert [one.field for one in walk_forward_violations(rule, Interval.WEEK_1)] == [
        "spec.walk_forward.out_of_sample",
    ]
    assert len(list(walk_forward_violations(rule, Interval.MONTH_1))) == 2
