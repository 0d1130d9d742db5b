"""Bars of longer intervals: known when their time is over, made of what exists, local."""

from __future__ import annotations

import numpy as np
import pytest

from services.backtest.core import look_ahead, single
from services.backtest.core.batch import evaluate
from services.backtest.core.evaluation.rows import Rows, Scope
from services.backtest.core.evaluation.workbench import resolved
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.parameters import Value
from services.backtest.core.sets import one_set
from services.backtest.core.sets.history import required_lookback
from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import planes_of, strategy_of

HOUR_MS = 3_600_000


def hours(*opens: int, start_ms: int = markets.START_MS) -> Candles:
    """Bars that open so many hours after the start; bar k closes at 100 + its hour."""
    prices = np.array(opens, np.float64) + 100.0
    times = np.array(opens) * HOUR_MS + start_ms
    return Candles.from_columns([times, prices - 0.5, prices + 2, prices - 2, prices, prices])


def longer(market: Candles, text: str, interval: Interval = Interval.HOUR_1) -> list[float]:
    """Evaluate a number over a whole dataset, all of it the window."""
    frame = Frame(market, 0, interval, 1)
    program = strategy_of(enter_long=f"{text} > 0", stop_loss=text).program
    row = Rows(frame).row(Scope(resolved(program, ()), {}), program.distances["stop_loss"], 0)
    return [float(value) for value in row.values]


def test_a_longer_bar_is_seen_at_the_close_of_its_last_hour() -> None:
    """Four hours after midnight, at the close of the bar of three o'clock, and not before."""
    values = longer(hours(*range(9)), 'on("4h", close)')
    np.testing.assert_array_equal(values, [np.nan] * 3 + [103.0] * 4 + [107.0] * 2)


def test_its_columns_are_those_of_its_parts() -> None:
    """First open, extremes, last close, and the sum of volumes; its hour is that of its open."""
    market = hours(*range(8))
    told = {
        "open": 103.5,
        "high": 109.0,
        "low": 102.0,
        "close": 107.0,
        "volume": 104.0 + 105.0 + 106.0 + 107.0,
        "hour": 4.0,
        "weekday": 0.0,
    }
    for name, value in told.items():
        assert longer(market, f'on("4h", {name})')[-1] == value


def test_a_bar_with_a_part_missing_ends_when_its_time_is_over() -> None:
    """Without its last hour it is seen at the next close there is; without others, as always."""
    values = longer(hours(0, 1, 2, 5, 7, 8), 'on("4h", close)')
    np.testing.assert_array_equal(values, [np.nan] * 3 + [102.0] + [107.0] * 2)


def test_a_bar_the_dataset_begins_inside_of_is_left_out() -> None:
    """Its open, and what came before, are not known."""
    values = longer(hours(*range(1, 9)), 'on("4h", close)')
    np.testing.assert_array_equal(values, [np.nan] * 6 + [107.0] * 2)


def test_longer_means_do_not_reach_into_a_bar_left_out() -> None:
    """Though the dataset holds some of its hours."""
    values = longer(hours(*range(1, 13)), 'on("4h", sma(close, 2))')
    np.testing.assert_array_equal(values, [np.nan] * 10 + [109.0] * 2)
    values = longer(hours(*range(1, 13)), 'on("4h", ema(close, 2))')
    np.testing.assert_array_equal(values, [np.nan] * 10 + [109.0] * 2)


def test_a_dataset_that_holds_no_longer_bar_has_no_first_decision() -> None:
    """All of it lies inside one; that is told, and never a decision on nothing."""
    strategy = strategy_of(enter_long='close > on("1d", close) or true')
    frame = Frame(hours(*range(3, 20)), 0, Interval.HOUR_1, 1)
    with pytest.raises(AssayError) as raised:
        single.run(frame, strategy, Direction.LONG, {}, Execution())
    assert raised.value.reason == "WINDOW_TOO_SHORT"


def test_weeks_begin_on_monday() -> None:
    """At midnight UTC."""
    days = [day * 24 for day in range(20)]
    wednesday = markets.START_MS + 2 * 24 * HOUR_MS
    values = longer(hours(*days, start_ms=wednesday), 'on("1w", open)', Interval.DAY_1)
    first, second = 100.0 + 5 * 24 - 0.5, 100.0 + 12 * 24 - 0.5
    np.testing.assert_array_equal(values, [np.nan] * 11 + [first] * 7 + [second] * 2)


def test_on_its_own_interval_nothing_changes() -> None:
    """The expression itself."""
    market = markets.candles(3, 60)
    np.testing.assert_array_equal(
        longer(market, 'on("1h", ema(close, 3))'), longer(market, "ema(close, 3)")
    )


@pytest.mark.parametrize(
    ("label", "interval"),
    [("3m", Interval.HOUR_1), ("5m", Interval.MINUTE_3), ("6h", Interval.HOUR_4)],
)
def test_bars_that_cannot_be_made_are_refused(label: str, interval: Interval) -> None:
    """By every way in, at the definition."""
    strategy = strategy_of(enter_long=f'close > on("{label}", close)')
    frame = Frame(markets.candles(1, 50, interval=interval), 20, interval, 20)
    values: dict[str, Value] = {}
    sets = one_set.as_sets(values)
    ways = (
        lambda: single.run(frame, strategy, Direction.LONG, values, Execution()),
        lambda: look_ahead.check(frame, strategy, Direction.LONG, values, 3),
        lambda: one_set.lookback(strategy, Direction.LONG, values, Execution(), interval),
        lambda: required_lookback(strategy, Direction.LONG, sets, Execution(), interval),
        lambda: evaluate(
            frame, strategy, Direction.LONG, sets, Execution(), ("sharpe_ratio",), lambda: False
        ),
    )
    for way in ways:
        with pytest.raises(AssayError) as raised:
            way()
        assert [one.field for one in raised.value.violations] == ["strategy.definition"]


@pytest.mark.parametrize("text", ["close", "ema(close, 3)", "sma(close, 3)", "shift(close, 2)"])
def test_older_history_changes_nothing(text: str) -> None:
    """Wherever the window begins inside a longer bar, with gaps on the way."""
    strategy = strategy_of(enter_long=f'crosses_above(close, on("4h", {text}))')
    needed = markets.lookback(strategy, {})
    market = markets.candles(21, 400, gaps=True, volatility=0.004)
    for window_start in range(200, 206):
        exactly, more = (
            planes_of(markets.frame(market, window_start, needed + extra), strategy, [{}])[0][0]
            for extra in (0, 61)
        )
        assert exactly.first == more.first == 0
        assert exactly.signals["enter_long"].any()
        np.testing.assert_array_equal(exactly.signals["enter_long"], more.signals["enter_long"])


def test_many_periods_on_longer_bars_fold_them_once() -> None:
    """However many lookbacks that makes."""
    frame = markets.frame(markets.candles(2, 900), 600, 600)
    rows = Rows(frame)
    for period in range(1, 60):
        program = strategy_of(enter_long=f'close > on("4h", sma(close, {period}))').program
        rows.row(Scope(program, {}), program.signals["enter_long"], 0)
    assert len(rows._longer) == 1
    assert len(rows._means) == 1
