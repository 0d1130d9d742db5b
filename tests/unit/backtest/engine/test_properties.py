"""What holds on every market: no look-ahead, money conserved, mirror images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.backtest.core import ledger
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.single import SingleResult, run
from services.backtest.core.strategies import STRATEGIES
from services.common.errors import AssayError
from services.common.frames import Candles
from tests.unit.backtest import markets
from tests.unit.backtest.engine.engine_room import BUY, COVER, SELL, SHORT, play

BARS = 120
HISTORY = 70


def result_of(market: Candles, request: markets.Request) -> SingleResult:
    """Run a request on the window after the history."""
    strategy = STRATEGIES[request.strategy]
    frame = markets.frame(market, HISTORY, markets.lookback(strategy, request.values))
    return run(frame, strategy, request.direction, request.values, request.execution)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(2, BARS - 1),
    request_=markets.requests,
    decimals=st.sampled_from([1, None]),
)
def test_the_future_changes_nothing_decided_before(
    seed: int, cut: int, request_: markets.Request, decimals: int | None
) -> None:
    """Other bars after one leave equity and finished trades up to it as they were."""
    market = markets.candles(seed, HISTORY + BARS, decimals=decimals)
    other = markets.candles(seed + 1, HISTORY + BARS, decimals=decimals)
    changed = Candles.concatenate(
        [market.slice(0, HISTORY + cut), other.slice(HISTORY + cut, HISTORY + BARS)]
    )
    request_ = replace(request_, execution=replace(request_.execution, close_at_end=False))
    one, two = result_of(market, request_), result_of(changed, request_)
    assert one.equity[:cut].tolist() == two.equity[:cut].tolist()
    assert one.position[:cut].tolist() == two.position[:cut].tolist()
    last = int(market.open_time_ms[HISTORY + cut])
    finished = [
        [trade for trade in result.trades if trade.exit_time_ms and trade.exit_time_ms < last]
        for result in (one, two)
    ]
    assert finished[0] == finished[1]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), request_=markets.requests)
def test_money_is_conserved_at_every_bar(seed: int, request_: markets.Request) -> None:
    """Equity less capital is what trades earned before fees, less their fees, at every close."""
    market = markets.candles(seed, HISTORY + BARS, gaps=True)
    result = result_of(market, request_)
    assume(not result.metrics["bust"])
    closes = market.close[HISTORY:]
    times = market.open_time_ms[HISTORY:].tolist()
    earned = np.zeros(BARS)
    for trade in result.trades:
        sign = 1.0 if trade.side is Direction.LONG else -1.0
        entry = times.index(trade.entry_time_ms)
        leave = BARS if trade.exit_time_ms is None else times.index(trade.exit_time_ms)
        gross = sign * trade.quantity_base * (closes[entry:leave] - trade.entry_price_quote)
        fee_ratio = request_.execution.taker_fee_bps / 1e4
        entry_fee = trade.quantity_base * trade.entry_price_quote * fee_ratio
        earned[entry:leave] += gross - entry_fee
        earned[leave:] += trade.net_profit_quote
        assert (result.position[entry:leave] == sign * trade.quantity_base).all()
    capital = request_.execution.initial_capital_quote
    np.testing.assert_allclose(result.equity, capital + earned, rtol=1e-10)
    assert result.metrics["fees_quote"] == pytest.approx(
        sum(trade.fees_quote for trade in result.trades), rel=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), execution=markets.executions, data=st.data())
def test_a_short_mirrors_a_long(seed: int, execution: Execution, data: st.DataObject) -> None:
    """Prices reflected at the entry turn a long's moves into a short's, one trade at a time.

    With every price p as 2 e - p, e the entry's open, and without fees, slippage and ratcheting
    levels (which are fractions of prices that differ), both sides earn the same at every bar.
    """
    market = markets.candles(seed, 40, volatility=0.005, decimals=3)
    columns = np.stack([market.open, market.high, market.low, market.close])
    entry = columns[0, 1]
    assume((columns < 2 * entry * 0.99).all())
    mirrored = np.stack(
        [
            2 * entry - market.open,
            2 * entry - market.low,
            2 * entry - market.high,
            2 * entry - market.close,
        ]
    )
    model = replace(
        execution,
        taker_fee_bps=0.0,
        take_profit_fee_bps=None,
        slippage_bps=0.0,
        trailing_stop_ratio=None,
        trailing_activation_ratio=None,
    )
    leave = data.draw(st.integers(2, 38))
    long = play([tuple(bar) for bar in columns.T.tolist()], {0: BUY, leave: SELL}, model)
    short = play([tuple(bar) for bar in mirrored.T.tolist()], {0: SHORT, leave: COVER}, model)
    assert [trade.reason for trade in long.trades] == [t.reason for t in short.trades]
    assert long.recorded.counts.tolist() == short.recorded.counts.tolist()
    np.testing.assert_allclose(long.equity, short.equity, rtol=1e-9)
    assert long.count(ledger.BUSTS) == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), more=st.integers(1, 200), request_=markets.requests)
def test_older_history_changes_nothing_once_the_lookback_is_there(
    seed: int, more: int, request_: markets.Request
) -> None:
    """Backfilling a dataset leaves every result as it was."""
    market = markets.candles(seed, HISTORY + BARS)
    needed = markets.lookback(STRATEGIES[request_.strategy], request_.values)
    assume(needed <= HISTORY)
    older = markets.candles(seed + 1, more)
    older.open_time_ms[:] = market.open_time_ms[0] - 3_600_000 * np.arange(more, 0, -1)
    backfilled = Candles.concatenate([older, market])
    one = result_of(market, request_)
    strategy = STRATEGIES[request_.strategy]
    two = run(
        markets.frame(backfilled, HISTORY + more, needed + more),
        strategy,
        request_.direction,
        request_.values,
        request_.execution,
    )
    assert dict(one.metrics) == dict(two.metrics)
    assert one.equity.tolist() == two.equity.tolist()
    assert list(one.trades) == list(two.trades)


@pytest.mark.parametrize("bars", [1, 2])
def test_the_shortest_windows(bars: int) -> None:
    """One bar leaves no fill; two leave one decision and one fill."""
    market = markets.candles(1, bars)
    frame = markets.frame(market, 0, 0)
    strategy = STRATEGIES["buy_and_hold"]
    if bars == 1:
        with pytest.raises(AssayError) as caught:
            run(frame, strategy, Direction.LONG, {}, Execution())
        assert caught.value.metadata == {"needed_bar_count": "2", "available_bar_count": "1"}
        return
    result = run(frame, strategy, Direction.LONG, {}, Execution())
    assert len(result.trades) == 1


def test_an_empty_window_is_too_short() -> None:
    """No bars, no backtest."""
    frame = markets.frame(markets.candles(1, 50), 50, 40)
    with pytest.raises(AssayError) as caught:
        run(frame, STRATEGIES["ma_crossover"], Direction.LONG, {}, Execution())
    assert caught.value.reason == "WINDOW_TOO_SHORT"


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_flat_market_earns_nothing_and_says_why_numbers_are_missing(name: str) -> None:
    """Without movement nothing crosses; only buying and holding pays its fee."""
    count = 24 * 40
    price = np.full(count, 0.1)
    times = markets.START_MS + 3_600_000 * np.arange(count)
    market = Candles.from_columns([times, price, price, price, price, np.zeros(count)])
    frame = markets.frame(market, 200, 200)
    result = run(frame, STRATEGIES[name], Direction.BOTH, {}, Execution())
    holds = name == "buy_and_hold"
    assert len(result.trades) == holds
    assert result.metrics["trade_count"] == 0
    if not holds:
        assert result.metrics["total_return_ratio"] == 0.0
        assert result.reasons["sharpe_ratio"] == 2
        assert result.reasons["calmar_ratio"] == 5
        assert result.reasons["max_drawdown_recovered"] == 5
        assert result.reasons["omega_ratio"] == 4
    assert result.reasons["win_rate_ratio"] == 3


def test_read_only_and_writable_frames_give_the_same_bits() -> None:
    """Where the columns come from makes no difference."""
    market = markets.candles(8, 300)
    copy = Candles(*(column.copy() for column in market.columns()))  # type: ignore[arg-type]
    for column in copy.columns():
        column.flags.writeable = False
    strategy = STRATEGIES["macd"]
    one, two = (
        run(markets.frame(each, 150, 150), strategy, Direction.BOTH, {}, Execution())
        for each in (market, copy)
    )
    assert dict(one.metrics) == dict(two.metrics)
