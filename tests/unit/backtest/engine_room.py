"""Running the engine alone: bars and flags in, trades and equity out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.backtest.core import ledger
from services.backtest.core.engine import simulate
from services.backtest.core.execution import Execution
from services.backtest.core.kernel import Integers, frozen
from services.backtest.core.signals import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from services.backtest.core.single import Trade, Trades
from services.backtest.core.terms import terms_of

FREE = Execution(initial_capital_quote=1_000.0, taker_fee_bps=0.0)
"""No costs, so that examples can be worked by hand."""

BUY, SELL, SHORT, COVER = ENTER_LONG, EXIT_LONG, ENTER_SHORT, EXIT_SHORT

Bar = tuple[float, float, float, float]
FLAT: Bar = (100.0, 100.0, 100.0, 100.0)


@dataclass(frozen=True)
class Played:
    """What came of it; times of trades are numbers of bars."""

    trades: Trades
    equity: list[float]
    counts: Integers

    def count(self, place: int) -> int:
        """Return something the engine counted."""
        return int(self.counts[place])


def play(
    bars: Sequence[Bar],
    flags: Mapping[int, int],
    execution: Execution = FREE,
    *,
    first: int = 0,
    gaps_before: Sequence[int] = (),
) -> Played:
    """Trade bars (open, high, low, close) with flags raised at the closes of some of them."""
    count = len(bars)
    columns = np.array(bars, dtype=np.float64).reshape(count, 4).T.copy()
    follows = np.ones(count, np.uint8)
    follows[list(gaps_before)] = 0
    raised = np.zeros(count, np.uint8)
    for bar, flag in flags.items():
        raised[bar] = flag
    equity, trades = np.empty(count), np.empty((count, ledger.TRADE_COLUMNS))
    counts = np.empty(ledger.COUNTS, np.int64)
    opens, highs, lows, closes = (frozen(column) for column in columns)
    market = (opens, highs, lows, closes, frozen(follows))
    made = simulate(market, raised, first, tuple(terms_of(execution)), equity, trades, counts)
    return Played(Trades(trades[:made], np.arange(count)), equity.tolist(), counts)


def told(trade: Trade) -> tuple[int, int | None, float, float, str]:
    """Return a trade's entry bar, exit bar, entry and exit price, and reason."""
    return (
        trade.entry_time_ms,
        trade.exit_time_ms,
        trade.entry_price_quote,
        trade.exit_price_quote,
        trade.exit_reason.name,
    )


def flat(price: float) -> Bar:
    """Return a bar that stands still."""
    return (price, price, price, price)
