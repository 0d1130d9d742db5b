"""A matrix of lengths: which windows its cells have, and what cells say together."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median_high, median_low

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import AssayError, Code
from services.common.intervals import Interval
from services.optimizer.core.walk_forward.matrix_summary import (
    Cell,
    matrix_summary,
    neighbors_of,
    ranking,
)
from services.optimizer.core.walk_forward.rule import (
    MOST_WINDOWS,
    BarSpan,
    Matrix,
    Span,
    WalkForward,
)
from services.optimizer.core.walk_forward.rule_checks import walk_forward_violations
from services.optimizer.core.walk_forward.stitching import StitchedMetrics
from services.optimizer.core.walk_forward.windows import windows_of
from tests.unit.optimizer.in_memory import make_plan

YEAR = Span(
    int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1000,
    int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1000,
)
"""366 days."""


def days(*counts: int) -> tuple[BarSpan, ...]:
    """Return lengths in days."""
    return tuple(BarSpan(count, in_days=True) for count in counts)


def rule_of(
    in_samples: tuple[BarSpan, ...],
    steps: tuple[BarSpan, ...],
    outside: BarSpan | None = None,
    *,
    anchored: bool = False,
) -> WalkForward:
    """Return the rule of a matrix."""
    return WalkForward(None, outside, anchored=anchored, matrix=Matrix(in_samples, steps))


@pytest.mark.parametrize("anchored", [False, True])
def test_a_cells_windows_are_those_of_its_own_walk(anchored: bool) -> None:
    """In-sample-major, one cell after the other: 4 and 7 windows of 120 and 60 days among them."""
    rule = rule_of(days(120, 90), days(60, 30), days(60)[0], anchored=anchored)

    windows = windows_of(rule, Interval.HOUR_1, YEAR)

    wanted = []
    for cell, (inside, step) in enumerate(itertools.product(days(120, 90), days(60, 30))):
        alone = WalkForward(inside, days(60)[0], step, anchored=anchored)
        found = windows_of(alone, Interval.HOUR_1, YEAR)
        wanted += [replace(one, cell_number=cell) for one in found]
    assert list(windows) == wanted
    pinned = replace(rule, windows=windows)
    assert [len(pinned.numbers_of(cell)) for cell in range(4)] == [4, 7, 4, 8]


def test_without_an_out_of_sample_length_it_is_each_cells_step() -> None:
    """So that spans follow each other without gap or overlap in every cell."""
    rule = rule_of(days(120), days(60, 30, 20))
    pinned = replace(rule, windows=windows_of(rule, Interval.HOUR_1, YEAR))

    assert not pinned.overlapping
    for cell in range(3):
        spans = [pinned.windows[one].out_of_sample for one in pinned.numbers_of(cell)]
        assert all(one.end_ms == other.start_ms for one, other in itertools.pairwise(spans))


def test_cells_that_follow_each_other_do_not_overlap_but_spans_of_one_may() -> None:
    """The last span of a cell ends behind the first one of the next cell."""
    apart = rule_of(days(120), days(60, 90), days(60)[0])
    within = rule_of(days(120), days(60, 30), days(60)[0])

    assert not replace(apart, windows=windows_of(apart, Interval.HOUR_1, YEAR)).overlapping
    assert replace(within, windows=windows_of(within, Interval.HOUR_1, YEAR)).overlapping


def test_a_cell_without_a_window_is_named() -> None:
    """The first of them, with the bars it needs."""
    rule = rule_of(days(120, 340), days(20, 30))

    with pytest.raises(
        AssayError, match=r"in cell 3 \(8,160 bars in sample, step 720\)"
    ) as refused:
        windows_of(rule, Interval.HOUR_1, YEAR)

    assert (refused.value.code, refused.value.reason) == (
        Code.FAILED_PRECONDITION,
        "WINDOW_TOO_SHORT",
    )
    assert refused.value.metadata == {
        "needed_bar_count": str(370 * 24),
        "available_bar_count": str(366 * 24),
        "cell_number": "3",
    }


def test_all_cells_together_have_no_more_windows_than_one_walk() -> None:
    """Two cells of 300 are too many."""
    step = BarSpan(24)
    few = rule_of((BarSpan(100 * 24),), (step,))
    assert len(windows_of(few, Interval.HOUR_1, YEAR)) == 266

    with pytest.raises(AssayError) as refused:
        windows_of(rule_of((BarSpan(100 * 24), BarSpan(90 * 24)), (step,)), Interval.HOUR_1, YEAR)

    assert [one.field for one in refused.value.violations] == ["spec.walk_forward.matrix"]
    assert str(MOST_WINDOWS) in refused.value.violations[0].description


def test_windows_that_see_the_same_bars_search_with_the_same_seed() -> None:
    """Cells differ by nothing but their lengths; other windows have seeds of their own."""
    rule = rule_of(days(120), days(60, 30), days(60)[0])
    pinned = replace(rule, windows=windows_of(rule, Interval.HOUR_1, YEAR))
    plan = make_plan(trial_count=20).over(pinned)

    seeds: dict[Span, set[int]] = {}
    for number, window in enumerate(pinned.windows):
        seeds.setdefault(window.in_sample, set()).add(plan.of_window(number).seed)

    assert len(pinned.windows) == 4 + 7
    assert len(seeds) == 7
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 7


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (rule_of((), ()), ["matrix.in_samples", "matrix.steps"]),
        (rule_of(days(*range(1, 22)), days(1)), ["matrix.in_samples"]),
        (
            rule_of((BarSpan(1), BarSpan(48), *days(2)), (BarSpan(1), BarSpan(100_001))),
            ["matrix.in_samples[0]", "matrix.in_samples[2]", "matrix.steps[0]", "matrix.steps[1]"],
        ),
        (rule_of(days(2), (BarSpan(1), BarSpan(100_001)), BarSpan(24)), []),
        (rule_of(days(2), days(1), BarSpan(1)), ["out_of_sample"]),
        (replace(rule_of(days(2), days(1)), purge=BarSpan(-1)), ["purge"]),
    ],
)
def test_everything_wrong_with_a_matrix_is_told(rule: WalkForward, fields: list[str]) -> None:
    """Empty sides, lengths out of bounds, lengths given twice; steps are lengths out of sample."""
    found = [one.field for one in walk_forward_violations(rule, Interval.HOUR_1)]

    assert found == [f"spec.walk_forward.{field}" for field in fields]


def metrics_of(earned: float, sharpe: float | None) -> StitchedMetrics:
    """Return the metrics of a stitched curve."""
    return StitchedMetrics(earned, None, sharpe, None, 0.1, 100)


def square(passed: str, sharpes: list[float | None]) -> list[Cell]:
    """Return 3 x 3 cells whose lengths were not given by size; "x" passed."""
    lengths = itertools.product((30, 10, 20), (3, 1, 2))
    return [
        Cell(inside, step, mark == "x", None if sharpe is None else metrics_of(sharpe / 10, sharpe))
        for (inside, step), mark, sharpe in zip(lengths, passed, sharpes, strict=True)
    ]


SHARPES: list[float | None] = [1.0, 0.5, 1.5, None, -1.0, 0.0, 0.2, 1.5, 0.1]


def test_neighbours_are_the_cells_one_length_away() -> None:
    """By size of the lengths, not by their order: cell 0 is a corner, cell 8 the middle."""
    cells = square("x" * 9, SHARPES)

    assert neighbors_of(cells, 8) == (0, 1, 2, 3, 4, 5, 6, 7)
    # 30 in sample, step 3: beside it are 20 and 2.
    assert neighbors_of(cells, 0) == (2, 6, 8)
    # 10 in sample, step 1.
    assert neighbors_of(cells, 4) == (5, 7, 8)


def test_the_best_cell_stands_on_a_plateau_where_all_beside_it_pass() -> None:
    """Of cells 2 and 7 with the same Sharpe ratio the lower one is the best."""
    near = matrix_summary(square("x" * 9, SHARPES))
    assert near.by_sharpe.best_cell_number == 2
    assert near.neighbor_cell_numbers == (0, 1, 6, 7, 8)
    assert (near.passed_cell_count, near.passed_cell_rate) == (9, 1.0)
    assert near.plateau is True

    # Cells 3, 4 and 5 lie two lengths away and do not matter.
    assert matrix_summary(square("xxx...xxx", SHARPES)).plateau is True
    assert matrix_summary(square("xxxxxxxx.", SHARPES)).plateau is False
    assert matrix_summary(square("xx.xxxxxx", SHARPES)).plateau is False


def test_one_cell_has_no_plateau_and_no_winner_no_best() -> None:
    """What cannot be told is unset."""
    alone = matrix_summary([Cell(10, 1, True, metrics_of(0.5, 1.0))])
    assert alone.plateau is None
    assert alone.neighbor_cell_numbers == ()

    nothing = matrix_summary(square("." * 9, [None] * 9))
    assert nothing.by_sharpe.best_cell_number is None
    assert nothing.by_total_return.undefined_cell_count == 9
    assert nothing.plateau is None


@settings(max_examples=50)
@given(st.lists(st.none() | st.floats(-10, 10), min_size=1, max_size=30))
def test_ranks_are_those_of_the_values(values: list[float | None]) -> None:
    """Best is the largest, worst the smallest, median the lower one of two in the middle."""
    found = ranking(values)
    known = [value for value in values if value is not None]

    assert found.undefined_cell_count == len(values) - len(known)
    if known:
        assert (found.best_value, found.worst_value) == (max(known), min(known))
        assert found.median_value == median_low(known)
        assert found.best_cell_number == values.index(max(known))
        for number, value in (
            (found.best_cell_number, found.best_value),
            (found.median_cell_number, found.median_value),
            (found.worst_cell_number, found.worst_value),
        ):
            assert number is not None
            assert values[number] == value
        assert found.median_value <= median_high(known)
