"""What windows say together, by hand."""

from __future__ import annotations

import math
from statistics import stdev

import numpy as np
import pytest

from services.common.intervals import DAY_MS
from services.optimizer.core.spec.space import Categories, Fixed, IntRange, Parameter, Space
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState
from services.optimizer.core.walk_forward.evidence import OutOfSample, WindowEvidence
from services.optimizer.core.walk_forward.rule import Criteria, Span, WalkForward, Window
from services.optimizer.core.walk_forward.stability import parameter_paths
from services.optimizer.core.walk_forward.statistics import annualized, judged, summary_of
from services.optimizer.core.walk_forward.stitching import stitched, stitched_daily_returns

CAPITAL = 1_000.0


def window(begin: int, days: int = 2) -> Window:
    """Return a window with ten days in sample, and out of sample from a day on."""
    return Window(
        Span((begin - 10) * DAY_MS, begin * DAY_MS),
        Span(begin * DAY_MS, (begin + days) * DAY_MS),
    )


def trial(number: int, point: Point, return_ratio: float = 0.1) -> Trial:
    """Return a winner that earned so much in sample."""
    outcome = Outcome({"total_return_ratio": return_ratio})
    return Trial(number, 0, point, TrialState.COMPLETE, (1.0,), (), True, outcome, 0, 0)


def evidence(
    number: int,
    begin: int,
    equity: list[float],
    sharpe: float | None = None,
    point: Point | None = None,
    in_sample: float = 0.1,
) -> WindowEvidence:
    """Return a window of 12-hour bars whose equity is given."""
    where = window(begin, len(equity) // 2)
    closes = [begin * DAY_MS + (place + 1) * DAY_MS // 2 for place in range(len(equity))]
    run = OutOfSample(
        equity[-1] / CAPITAL - 1,
        equity[-1] - CAPITAL,
        sharpe,
        1,
        np.array(closes, np.int64),
        np.array(equity),
    )
    return WindowEvidence(number, where, trial(number, point or {}, in_sample), run)


FIRST = evidence(0, 10, [1_000, 1_100, 1_050, 1_200], sharpe=2.0)
SECOND = evidence(1, 12, [900, 1_000, 950, 900], sharpe=-1.0)
THIRD = evidence(2, 14, [1_000, 1_000, 1_000, 1_050])
WINDOWS = [FIRST, SECOND, THIRD]


def test_the_statistics_are_those_of_the_definitions() -> None:
    """Profits of 200, -100 and 50."""
    found = summary_of(WINDOWS, overlapping=False)

    assert found.positive_window_rate == 2 / 3
    assert found.total_oos_profit == pytest.approx(150)
    assert found.std_oos_profit == pytest.approx(stdev([200, -100, 50]))
    assert found.average_oos_sharpe == 0.5
    assert found.undefined_sharpe_window_count == 1
    assert found.largest_window_share == pytest.approx(200 / 150)
    outside = [(1 + r) ** (365.25 / 2) - 1 for r in (0.2, -0.1, 0.05)]
    inside = 1.1 ** (365.25 / 10) - 1
    assert found.walk_forward_efficiency == pytest.approx(sum(outside) / 3 / inside)


def test_overlapping_spans_are_never_summed() -> None:
    """Neither the total nor a share of it is told; the rest is."""
    found = summary_of(WINDOWS, overlapping=True)

    assert (found.total_oos_profit, found.largest_window_share) == (None, None)
    assert found.positive_window_rate == 2 / 3


def test_a_window_without_a_winner_stays_in_cash() -> None:
    """Its profit is 0; efficiency is that of the others; alone it makes nothing defined."""
    idle = WindowEvidence(3, window(16))

    found = summary_of([*WINDOWS, idle], overlapping=False)
    alone = summary_of([idle], overlapping=False)

    assert found.positive_window_rate == 0.5
    assert found.std_oos_profit == pytest.approx(stdev([200, -100, 50, 0]))
    assert found.undefined_sharpe_window_count == 2
    efficiency = summary_of(WINDOWS, overlapping=False).walk_forward_efficiency
    assert found.walk_forward_efficiency == efficiency
    assert (alone.positive_window_rate, alone.total_oos_profit) == (0.0, 0.0)
    assert alone.average_oos_sharpe is alone.std_oos_profit is None
    assert alone.walk_forward_efficiency is alone.largest_window_share is None


def test_efficiency_needs_something_earned_in_sample() -> None:
    """A mean of 0 or below gives none."""
    lost = evidence(0, 10, [1_000, 1_200], in_sample=-0.2)
    assert summary_of([lost], overlapping=False).walk_forward_efficiency is None


def test_returns_of_a_year() -> None:
    """Compound; ruin is -1; what no number holds is unknown."""
    assert annualized(0.21, 2 * 365.25) == pytest.approx(0.1)
    assert annualized(-1.0, 5) == -1
    assert annualized(9.0, 0.01) is None


def test_the_stitched_curve_adds_or_multiplies() -> None:
    """Reset: 1,000 + 200 - 100 + 50; compounded: 1,000 x 1.2 x 0.9 x 1.05."""
    curve = stitched(WINDOWS, CAPITAL)

    assert curve.time_ms[0] == 10 * DAY_MS
    assert curve.time_ms[-1] == 16 * DAY_MS
    assert len(curve.time_ms) == 13
    assert curve.reset_equity_quote[-1] == pytest.approx(1_150)
    assert curve.compounded_equity_quote[-1] == pytest.approx(1_134)
    assert curve.reset.total_return_ratio == pytest.approx(0.15)
    assert curve.compounded.total_return_ratio == pytest.approx(0.134)
    # The peak is 1,200; lowest after it is 1,100 added up, and 1,200 x 0.9 multiplied.
    assert curve.reset.max_drawdown_ratio == pytest.approx(100 / 1_200)
    assert curve.compounded.max_drawdown_ratio == pytest.approx(0.1)
    midnights = np.array([1_000, 1_100, 1_200, 1_200, 1_100, 1_100, 1_150.0])
    returns = midnights[1:] / midnights[:-1] - 1
    assert curve.reset.day_count == 6
    assert curve.reset.sharpe_ratio == pytest.approx(
        returns.mean() / returns.std(ddof=1) * math.sqrt(365)
    )
    assert curve.reset.cagr_ratio is None


def test_overlapping_spans_count_up_to_the_next_one() -> None:
    """Of two spans of two days, a day apart, the first counts a day and the last whole."""
    later = evidence(1, 11, [1_000, 1_010, 1_010, 1_030])
    curve = stitched([FIRST, later], CAPITAL)

    assert WalkForward(None, None, windows=(FIRST.window, later.window)).overlapping
    assert not WalkForward(None, None, windows=(FIRST.window, SECOND.window)).overlapping
    assert curve.reset_equity_quote.tolist() == [
        1_000, 1_000, 1_100, 1_100, 1_110, 1_110, 1_130,
    ]  # fmt: skip


def test_days_between_spans_do_not_count() -> None:
    """A gap of a day adds no return of 0."""
    later = evidence(1, 13, [1_000, 1_010])

    assert stitched([FIRST, later], CAPITAL).reset.day_count == 3


def test_a_long_curve_is_told_in_few_points() -> None:
    """At most 2,000, the first and the last among them; metrics are of all bars."""
    equity = [CAPITAL + place for place in range(6_000)]
    curve = stitched([evidence(0, 10, equity)], CAPITAL)

    assert len(curve.time_ms) == 2_000
    assert curve.reset_equity_quote[-1] == equity[-1]
    assert curve.reset.day_count == 3_000
    years = 3_000 / 365.25
    assert curve.reset.cagr_ratio == pytest.approx((equity[-1] / CAPITAL) ** (1 / years) - 1)


def test_the_daily_returns_are_those_of_the_curves_metrics() -> None:
    """Of either way to use the capital; None where a day began without equity."""
    curve = stitched(WINDOWS, CAPITAL)
    for metrics, compounded in ((curve.reset, False), (curve.compounded, True)):
        returns = stitched_daily_returns(WINDOWS, CAPITAL, compounded=compounded)
        assert returns is not None
        assert len(returns) == metrics.day_count
        sharpe = returns.mean() / returns.std(ddof=1) * math.sqrt(365)
        assert metrics.sharpe_ratio == pytest.approx(sharpe)
    lost = [evidence(place, 10 + 20 * place, [400.0] * 40) for place in range(2)]
    assert stitched_daily_returns(lost, CAPITAL, compounded=False) is None
    assert stitched_daily_returns(lost, CAPITAL, compounded=True) is not None


def test_a_matrix_draws_fewer_points_of_more_curves() -> None:
    """The metrics are those of all bars all the same."""
    whole, drawn = stitched(WINDOWS, CAPITAL), stitched(WINDOWS, CAPITAL, 5)
    assert len(drawn.time_ms) == 5
    assert drawn.time_ms[[0, -1]].tolist() == whole.time_ms[[0, -1]].tolist()
    assert drawn.compounded == whole.compounded


def test_a_ruined_curve_has_no_daily_metrics() -> None:
    """Losses added up may exceed the capital."""
    lost = [evidence(place, 10 + 20 * place, [400.0] * 40) for place in range(2)]
    curve = stitched(lost, CAPITAL)

    assert curve.reset.total_return_ratio == pytest.approx(-1.2)
    assert (curve.reset.cagr_ratio, curve.reset.sharpe_ratio) == (-1.0, None)
    assert curve.compounded.total_return_ratio == pytest.approx(0.16 - 1)


def test_criteria_are_judged_one_by_one() -> None:
    """What is undefined meets none; the share is not judged where spans overlap."""
    curve = stitched(WINDOWS, CAPITAL).reset
    summary = summary_of(WINDOWS, overlapping=False)
    usual = {one.name: one for one in judged(summary, curve, Criteria(), overlapping=False)}

    assert usual["min_positive_window_rate"].passed
    assert not usual["max_single_window_share"].passed
    assert usual["max_single_window_share"].found == pytest.approx(4 / 3)
    assert usual["max_drawdown_ratio"].passed
    assert usual["min_total_return_ratio"].passed
    strict = Criteria(2 / 3, math.inf, 4 / 3, 100 / 1_200, 0.15)
    told = judged(summary, None, strict, overlapping=True)
    assert [(one.name, one.passed) for one in told] == [
        ("min_positive_window_rate", True),
        ("min_walk_forward_efficiency", False),
        ("max_drawdown_ratio", False),
        ("min_total_return_ratio", False),
    ]


def test_paths_tell_how_parameters_moved() -> None:
    """Windows without a winner are left out; fixed parameters are none."""
    space = Space(
        (
            Parameter("fast", IntRange(5, 25)),
            Parameter("word", Categories(("a", "b", "c"))),
            Parameter("only", IntRange(3, 3)),
            Parameter("fixed", Fixed(2)),
        )
    )
    points = [("a", 5), ("a", 10), ("c", 10)]
    windows = [
        evidence(place, 10 + place, [1_000, 1_000], point={"fast": fast, "word": word, "only": 3})
        for place, (word, fast) in enumerate(points)
    ]
    windows.insert(1, WindowEvidence(7, window(20)))

    fast, word, only = parameter_paths(space, windows)

    assert (fast.window_numbers, fast.values) == ((0, 1, 2), (5, 10, 10))
    assert (fast.change_rate, fast.used_range_ratio) == (0.5, 0.25)
    assert (word.values, word.change_rate, word.used_range_ratio) == (("a", "a", "c"), 0.5, 0.5)
    assert (only.change_rate, only.used_range_ratio) == (0.0, None)
    assert parameter_paths(space, windows[1:2])[0].change_rate is None
