"""The core against a slow reference written from the conventions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.execution import Direction
from services.backtest.core.frame import Frame
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.backtest.core.single import SingleResult, run
from services.backtest.core.strategies import STRATEGIES
from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.engine.reference_metrics import metrics
from tests.unit.backtest.engine.reference_orders import Account
from tests.unit.backtest.engine.reference_signals import signals

INTERVALS = (
    Interval.MINUTE_5,
    Interval.HOUR_1,
    Interval.HOUR_6,
    Interval.DAY_1,
    Interval.WEEK_1,
    Interval.MONTH_1,
)


def reference(
    market: Candles, window_start: int, request: markets.Request, interval: Interval
) -> tuple[Account, int]:
    """Return what the reference makes of a request, and the bar of the first decision."""
    wanted, first = signals(request.strategy, request.values, market, window_start)
    window = market.slice(window_start, len(market))
    times = window.open_time_ms.tolist()
    follows = [
        True,
        *(b == interval.next_open_ms(a) for a, b in itertools.pairwise(times)),
    ]
    account = Account(window, follows, request.execution)
    direction = request.direction
    if request.strategy == "buy_and_hold" and direction is Direction.BOTH:
        direction = Direction.LONG
    account.trade(wanted, first - window_start, direction)
    return account, first - window_start


def assert_same_orders(result: SingleResult, account: Account) -> None:
    """Fills, quantities, fees, profits and equity are equal to the last bit."""
    assert [(t.entry_price_quote, t.quantity_base, t.exit_reason.name) for t in result.trades] == [
        (t.entry_price, t.quantity, t.reason) for t in account.trades
    ]
    for told, known in zip(result.trades, account.trades, strict=True):
        assert (told.side.name == "LONG") is known.long
        assert told.exit_price_quote == known.exit_price
        assert told.fees_quote == known.fees
        assert told.net_profit_quote == known.net_profit
        last = len(account.equity) - 1 if known.exit_bar is None else known.exit_bar
        assert told.bars_held == last - known.entry_bar
        moves = told.adverse_excursion_ratio, told.favorable_excursion_ratio
        assert moves == known.excursions()
    assert result.equity.tolist() == account.equity


def assert_same_metrics(result: SingleResult, known: dict[str, float | str]) -> None:
    """Whole numbers are equal, others close; what is undefined is so for the same reason."""
    assert set(known) == set(METRIC_NAMES)
    for name, value in known.items():
        if isinstance(value, str):
            assert UndefinedReason(result.reasons[name]).name == value, name
            continue
        assert name not in result.reasons, (name, value, result.reasons[name])
        told = result.metrics[name]
        if isinstance(value, int):
            assert told == value, name
        # Profits and returns that nearly cancel leave the last digits of what they cancel from.
        scale = abs(known["final_equity_quote"]) if name.endswith("_quote") else 1e-3  # type: ignore[arg-type]
        assert told == pytest.approx(value, rel=1e-7, abs=1e-11 * scale), name
        assert math.isfinite(told)


@settings(max_examples=250, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.integers(2, 150),
    history=st.integers(0, 60),
    spare=st.sampled_from([0, 0, 7]),
    decimals=st.sampled_from([0, 1, 3, None]),
    interval=st.sampled_from(INTERVALS),
    offset=st.integers(0, 30),
    gaps=st.booleans(),
    volatility=st.sampled_from([0.0, 0.002, 0.02, 0.6]),
    request_=markets.requests,
)
def test_the_core_is_the_reference(
    seed: int,
    bars: int,
    history: int,
    spare: int,
    decimals: int | None,
    interval: Interval,
    offset: int,
    gaps: bool,
    volatility: float,
    request_: markets.Request,
) -> None:
    """On random markets the core decides, trades and measures as the reference does."""
    start_ms = markets.START_MS
    for _ in range(offset):
        start_ms = interval.next_open_ms(start_ms)
    market = markets.candles(
        seed,
        history + bars,
        interval=interval,
        decimals=decimals,
        volatility=volatility,
        gaps=gaps,
        start_ms=start_ms,
    )
    strategy = STRATEGIES[request_.strategy]
    frame = markets.frame(
        market, history, markets.lookback(strategy, request_.values, interval) + spare, interval
    )
    account, first = reference(market, history, request_, interval)

    if first + 2 > bars:
        with pytest.raises(AssayError) as caught:
            _run(frame, request_)
        assert caught.value.reason == "WINDOW_TOO_SHORT"
        assert caught.value.metadata["available_bar_count"] == str(bars)
        return
    result = _run(frame, request_)

    assert result.first_decision_index == first
    assert_same_orders(result, account)
    times = market.open_time_ms[history:].tolist()
    assert_same_metrics(result, metrics(account, times, interval))


def _run(frame: Frame, request: markets.Request) -> SingleResult:
    with np.errstate(all="raise"):
        return run(
            frame,
            STRATEGIES[request.strategy],
            request.direction,
            request.values,
            request.execution,
        )
