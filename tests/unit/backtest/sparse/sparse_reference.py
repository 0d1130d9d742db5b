"""What the tests of the sparse path stand on: markets, signals, and a loop over bars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from services.backtest.core.execution import Execution
from services.backtest.core.frame import Frame
from services.backtest.core.market import Market, market_of
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.backtest.core.sparse import NOT_COVERED, ranges_of, run_plain, wants_of
from services.backtest.core.terms import terms_of
from services.common.frames import Candles
from services.common.intervals import Interval

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000 + 5 * HOUR_MS
COSTLY = Execution(taker_fee_bps=7.5, slippage_bps=3.0)
COVERED = tuple(name for name in METRIC_NAMES if name not in NOT_COVERED)

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


def market_with(opens: Numbers, closes: Numbers, missing: tuple[int, ...] = ()) -> Market:
    """Return a market of hourly bars, some hours left out."""
    hours = np.delete(np.arange(len(opens) + len(missing)), list(missing))
    highs, lows = np.maximum(opens, closes), np.minimum(opens, closes)
    columns = [START_MS + hours * HOUR_MS, opens, highs, lows, closes, np.ones(len(opens))]
    return market_of(Frame(Candles.from_columns(columns), 0, Interval.HOUR_1, 0))


def random_market(seed: int, bars: int) -> Market:
    """Return a walk on a coarse grid of ticks, so that closes are often equal, with gaps."""
    rng = np.random.default_rng(seed)
    closes = np.maximum(np.round(100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))), 1.0)
    opens = np.concatenate([[100.0], closes[:-1]]) + rng.choice([0.0, 0.0, -0.5, 0.5], bars)
    missing = tuple(sorted(set(rng.integers(1, max(2, bars - 1), bars // 20).tolist())))
    return market_with(opens, closes, missing)


def random_signals(seed: int, bars: int, share: float) -> tuple[Mask, Mask]:
    """Return when to enter and when to leave, each at a share of the closes, now and then both."""
    rng = np.random.default_rng(seed)
    return rng.random(bars) < share, rng.random(bars) < share


def words_of(masks: list[Mask]) -> npt.NDArray[np.uint64]:
    """Return masks as planes, the bits behind the last bar set: they must not matter."""
    padded = [np.append(mask, np.ones(-len(mask) % 64, bool)) for mask in masks]
    packed = [np.packbits(mask, bitorder="little").view("<u8") for mask in padded]
    return np.array(packed, np.uint64).reshape(len(masks), -1)


def empty(sets: int) -> tuple[Numbers, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return places for metrics, reasons and whether numbers are finite."""
    shape = sets, len(METRIC_NAMES)
    return np.full(shape, np.nan), np.zeros(shape, np.uint8), np.zeros(sets, np.uint8)


def run(
    market: Market,
    enters: Mask,
    leaves: Mask,
    execution: Execution = COSTLY,
    first: int = 0,
    metrics: tuple[str, ...] = COVERED,
) -> tuple[dict[str, float], dict[str, int]]:
    """Run one set; return its metrics and the reasons of those without a value, by name."""
    values, reasons, finite = empty(1)
    run_plain(
        market,
        ranges_of(market.bars),
        words_of([enters]),
        words_of([leaves]),
        np.array([first]),
        terms_of(execution),
        wants_of(metrics),
        values,
        reasons,
        finite,
    )
    assert finite[0] == 1
    named = dict(zip(METRIC_NAMES, values[0].tolist(), strict=True))
    return named, dict(zip(METRIC_NAMES, reasons[0].tolist(), strict=True))


@dataclass
class Followed:
    """What the loop over bars found."""

    equity: list[float]
    profits: list[float]
    fees: float
    held: int
    """Bars holding after the open's fills."""


def follow(
    market: Market, enters: Mask, leaves: Mask, execution: Execution, first: int = 0
) -> Followed:
    """Trade bar by bar, as slowly and plainly as can be."""
    opens, closes = market.bars.open.tolist(), market.bars.close.tolist()
    fee, slippage = execution.taker_fee_bps / 1e4, execution.slippage_bps / 1e4
    cash = execution.initial_capital_quote
    quantity = entry = paid = 0.0
    order = ""
    found = Followed([], [], 0.0, 0)

    def sell(price: float) -> float:
        gross, cost = quantity * (price - entry), quantity * price * fee
        found.profits.append(gross - (paid + cost))
        found.fees += paid + cost
        return cash + (gross - cost)

    for bar, close in enumerate(closes):
        if order == "enter":
            entry = opens[bar] * (1.0 + slippage)
            quantity = cash / (entry * (1.0 + fee))
            paid = quantity * entry * fee
            cash -= paid
        elif order == "leave":
            cash, quantity = sell(opens[bar] * (1.0 - slippage)), 0.0
        order = ""
        found.held += quantity > 0.0
        if quantity > 0.0 and execution.close_at_end and bar == len(closes) - 1:
            cash, quantity = sell(close * (1.0 - slippage)), 0.0
        found.equity.append(cash + quantity * (close - entry))
        if bar >= first and quantity > 0.0 and leaves[bar]:
            order = "leave"
        elif bar >= first and quantity == 0.0 and enters[bar] and not leaves[bar]:
            order = "enter"
    found.fees += paid if quantity > 0.0 else 0.0
    return found


def bar_sharpe(capital: float, equity: list[float]) -> float:
    """Return mean over sample deviation of per-bar returns, times the root of bars a year."""
    returns = [now / before - 1.0 for before, now in pairwise([capital, *equity])]
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(8_760.0)


def max_drawdown(capital: float, equity: list[float]) -> float:
    """Return the worst fall from a peak as a fraction of it."""
    peak, worst = capital, 0.0
    for value in equity:
        peak = max(peak, value)
        worst = max(worst, 1.0 - value / peak)
    return worst


def check(
    market: Market, enters: Mask, leaves: Mask, execution: Execution, first: int = 0
) -> dict[str, float]:
    """Compare a run with the loop: to the bit where promised, else to 1e-12; return the run."""
    values, reasons = run(market, enters, leaves, execution, first)
    expected = follow(market, enters, leaves, execution, first)
    capital = execution.initial_capital_quote
    profits, fees = expected.profits, expected.fees
    assert values["final_equity_quote"] == expected.equity[-1]
    assert values["total_return_ratio"] == expected.equity[-1] / capital - 1.0
    assert values["trade_count"] == len(profits)
    assert values["fees_quote"] == pytest.approx(fees, rel=1e-13)
    assert values["exposure_ratio"] == expected.held / len(expected.equity)
    assert values["max_drawdown_ratio"] == pytest.approx(
        max_drawdown(capital, expected.equity), rel=1e-12, abs=1e-15
    )
    if profits:
        assert values["win_rate_ratio"] == sum(one > 0 for one in profits) / len(profits)
        assert values["largest_win_quote"] == max(profits)
        assert values["largest_loss_quote"] == min(profits)
        assert values["long_net_profit_quote"] == sum(profits)
    else:
        assert reasons["win_rate_ratio"] == UndefinedReason.NO_TRADES
    if any(value != capital for value in expected.equity):
        sharpe = bar_sharpe(capital, expected.equity)
        assert values["bar_sharpe_ratio"] == pytest.approx(sharpe, rel=1e-12, abs=1e-12)
    else:
        assert reasons["bar_sharpe_ratio"] == UndefinedReason.NO_VARIANCE
    return values
