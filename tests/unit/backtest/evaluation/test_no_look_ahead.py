"""No later bar changes what was decided before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.backtest.core import look_ahead, single
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.operation import Columns, Operation, Statics
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import Value
from services.backtest.core.strategies import STRATEGIES, Strategy
from services.backtest.core.strategies.definition import Definition
from services.common.frames import Candles
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import planes_of, strategy_of

MARKET = markets.candles(17, 420, gaps=True, volatility=0.01)
SMALL: dict[str, dict[str, Value]] = {
    "ma_crossover": {"fast_period": 3, "slow_period": 7, "average": "ema"},
    "rsi_reversion": {"period": 4},
    "macd": {"fast_period": 3, "slow_period": 6, "signal_period": 3},
    "bollinger_reversion": {"period": 5, "width": 1.0},
    "donchian_breakout": {"entry_period": 5, "exit_period": 3},
    "buy_and_hold": {},
}


def frame_of(strategy: Strategy, values: dict[str, Value]) -> Frame:
    """Cut a window with the history a strategy needs, as far as there is any."""
    return markets.frame(MARKET, 220, markets.lookback(strategy, values))


def with_other_future(frame: Frame, bar: int) -> Frame:
    """Return the frame with all bars of the window from `bar` on doubled and their volume 9."""
    row = frame.window_start + bar
    times, *prices, volume = frame.candles.columns()
    later = np.arange(len(times)) >= row
    changed = [np.where(later, 2.0 * np.asarray(one, np.float64), one) for one in prices]
    columns = [times, *changed, np.where(later, 9.0, volume)]
    return replace(frame, candles=Candles.from_columns(columns))


def call_of(operation: Operation) -> str:
    """Write a call of an indicator with small arguments."""
    statics = ["5" if one.whole else "1.5" for one in operation.statics]
    return f"{operation.name}({', '.join([*('close' for _ in operation.series), *statics])})"


@pytest.mark.parametrize("name", INDICATORS)
def test_no_indicator_knows_a_later_bar(name: str) -> None:
    """Neither when later bars are taken away nor when they change, nested and on longer bars."""
    call = call_of(INDICATORS[name])
    strategy = strategy_of(
        enter_long=f"{call} > ema({call}, 3)",
        exit_long=f'crosses_above({call}, on("4h", {call}))',
        stop_loss=f"0.01 + abs({call}) / 1e9",
    )
    frame = frame_of(strategy, {})
    found = look_ahead.check(frame, strategy, Direction.LONG, {}, 5)
    assert (found.total, found.cut_count) == (0, 5)
    whole = planes_of(frame, strategy, [{}])[0][0]
    for bar in (40, 128):
        other = planes_of(with_other_future(frame, bar), strategy, [{}])[0][0]
        for signal, flags in whole.signals.items():
            np.testing.assert_array_equal(flags[:bar], other.signals[signal][:bar])


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_knows_a_later_bar(name: str) -> None:
    """What a run did before a bar it does whatever comes after."""
    strategy, values = STRATEGIES[name], SMALL[name]
    frame = frame_of(strategy, values)
    assert look_ahead.check(frame, strategy, Direction.BOTH, values, 7).total == 0
    execution = Execution(stop_loss_ratio=0.03)
    whole = single.run(frame, strategy, Direction.BOTH, values, execution)
    assert len(whole.trades) > 0
    for bar in (60, 130):
        changed = with_other_future(frame, bar)
        shorter = replace(frame, candles=frame.candles.slice(0, frame.window_start + bar))
        for other_frame in (changed, shorter):
            other = single.run(other_frame, strategy, Direction.BOTH, values, execution)
            np.testing.assert_array_equal(other.equity[:bar], whole.equity[:bar])
            np.testing.assert_array_equal(other.position[:bar], whole.position[:bar])
            until = whole.open_time_ms[bar]
            assert closed_before(other, until) == closed_before(whole, until)


def closed_before(result: single.SingleResult, until_ms: int) -> list[single.Trade]:
    """Return the trades closed before a time."""
    return [
        one for one in result.trades if one.exit_time_ms is not None and one.exit_time_ms < until_ms
    ]


def test_an_indicator_that_cheats_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The differences are told by rising bar, at most a hundred of them, and all are counted."""

    def tomorrow(columns: Columns, _: Statics) -> Columns:
        return (np.append(columns[0][1:], np.nan),)

    shift = INDICATORS["shift"]
    cheat = replace(
        shift,
        name="tomorrow",
        statics=(),
        compute=tomorrow,
        family="tomorrow",
        lookback=lambda _: 0,
        undefined=lambda _: 0,
    )
    vocabulary = {**INDICATORS, "tomorrow": cheat}
    for module in ("evaluation.rows", "evaluation.lookback", "sets.planning"):
        monkeypatch.setattr(f"services.backtest.core.{module}.INDICATORS", vocabulary)
    definition = Definition(enter_long="tomorrow(close) > close", stop_loss="tomorrow(close) / 1e4")
    strategy = Strategy.compiled(definition, vocabulary)
    frame = markets.frame(MARKET, 220, 0)
    found = look_ahead.check(frame, strategy, Direction.LONG, {}, 150)
    assert found.cut_count == 150
    assert found.total >= 150
    assert len(found.differences) == look_ahead.MOST_DIFFERENCES
    times = [one.bar_time_ms for one in found.differences]
    assert times == sorted(times)
    first = next(one for one in found.differences if one.signal == "stop_loss")
    assert first.bar_time_ms == first.cut_time_ms
    assert first.cut is None
    assert first.whole is not None
