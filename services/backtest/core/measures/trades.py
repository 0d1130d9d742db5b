"""Metrics of trades, and what the engine counted."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, inner
from services.backtest.core.ledger import (
    ADDED_ENTRIES,
    ADVERSE,
    AMBIGUOUS_BARS,
    BUSTS,
    CONFLICTING_ENTRIES,
    ENTRY_BAR,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_PRICE,
    FAVORABLE,
    FEES,
    FUNDING,
    GAP_FILLS,
    HELD_BARS,
    LIQUIDATION_LOSS,
    LIQUIDATIONS,
    NET_PROFIT,
    QUANTITY,
    REJECTED_ORDERS,
    RESOLVED_BARS,
    SIDE,
)
from services.backtest.core.measures.places import put
from services.backtest.core.metrics import Metric, UndefinedReason

_TOO_FEW: Final = int(UndefinedReason.TOO_FEW_OBSERVATIONS)
_NO_VARIANCE: Final = int(UndefinedReason.NO_VARIANCE)
_NO_TRADES: Final = int(UndefinedReason.NO_TRADES)
_NO_LOSSES: Final = int(UndefinedReason.NO_LOSSES)
_NO_WINS: Final = int(UndefinedReason.NO_WINS)


class Tally(NamedTuple):
    """Sums, extremes and counts over closed trades, in their order."""

    wins: int
    longs: int
    long_wins: int
    most_wins: int
    most_losses: int
    won: float
    lost: float
    largest: float
    smallest: float
    long_profit: float
    short_profit: float
    held: float
    longest: float


@inner
def _tally(trades: Numbers) -> Tally:
    wins = longs = long_wins = won_now = lost_now = most_wins = most_losses = 0
    won = lost = long_profit = short_profit = held = longest = 0.0
    largest, smallest = -np.inf, np.inf
    for place in range(len(trades)):
        profit = trades[place, NET_PROFIT]
        bars = trades[place, EXIT_BAR] - trades[place, ENTRY_BAR]
        largest, smallest = max(largest, profit), min(smallest, profit)
        held += bars
        longest = max(longest, bars)
        # Selections, not branches: whether a trade won is as hard to foretell here as elsewhere.
        gain, long = profit > 0.0, trades[place, SIDE] > 0.0
        won += profit if gain else 0.0
        lost -= 0.0 if gain else profit
        long_profit += profit if long else 0.0
        short_profit += 0.0 if long else profit
        wins += gain
        longs += long
        long_wins += gain and long
        won_now, lost_now = (won_now + 1, 0) if gain else (0, lost_now + 1)
        most_wins, most_losses = max(most_wins, won_now), max(most_losses, lost_now)
    return Tally(
        wins,
        longs,
        long_wins,
        most_wins,
        most_losses,
        won,
        lost,
        largest,
        smallest,
        long_profit,
        short_profit,
        held,
        longest,
    )


@inner
def measure_trades(trades: Numbers, values: Numbers, reasons: Bytes) -> None:
    """Measure the closed trades, the rows of `trades`."""
    tally = _tally(trades)
    _measure_sides(len(trades), tally, values, reasons)
    _measure_profits(trades, tally, values, reasons)
    none = len(trades) == 0
    values[Metric.MAX_CONSECUTIVE_WINS] = tally.most_wins
    values[Metric.MAX_CONSECUTIVE_LOSSES] = tally.most_losses
    held = tally.held / len(trades)
    put(values, reasons, Metric.AVERAGE_BARS_HELD, held, none, _NO_TRADES)
    put(values, reasons, Metric.MAX_BARS_HELD, tally.longest, none, _NO_TRADES)


@inner
def _measure_sides(count: int, tally: Tally, values: Numbers, reasons: Bytes) -> None:
    longs, long_wins, wins = tally.longs, tally.long_wins, tally.wins
    shorts, short_wins = count - longs, wins - long_wins
    values[Metric.TRADE_COUNT] = count
    values[Metric.LONG_TRADE_COUNT] = longs
    values[Metric.SHORT_TRADE_COUNT] = shorts
    values[Metric.LONG_NET_PROFIT_QUOTE] = tally.long_profit
    values[Metric.SHORT_NET_PROFIT_QUOTE] = tally.short_profit
    put(values, reasons, Metric.WIN_RATE_RATIO, wins / count, count == 0, _NO_TRADES)
    metric = Metric.LONG_WIN_RATE_RATIO
    put(values, reasons, metric, long_wins / longs, longs == 0, _NO_TRADES)
    metric = Metric.SHORT_WIN_RATE_RATIO
    put(values, reasons, metric, short_wins / shorts, shorts == 0, _NO_TRADES)


@inner
def _measure_profits(trades: Numbers, tally: Tally, values: Numbers, reasons: Bytes) -> None:
    count, wins, won, lost = len(trades), tally.wins, tally.won, tally.lost
    mean = (won - lost) / count
    none = count == 0
    put(values, reasons, Metric.EXPECTANCY_QUOTE, mean, none, _NO_TRADES)
    put(values, reasons, Metric.LARGEST_WIN_QUOTE, tally.largest, none, _NO_TRADES)
    put(values, reasons, Metric.LARGEST_LOSS_QUOTE, tally.smallest, none, _NO_TRADES)
    reason = _NO_TRADES if none else _NO_WINS
    put(values, reasons, Metric.AVERAGE_WIN_QUOTE, won / wins, wins == 0, reason)
    reason = _NO_TRADES if none else _NO_LOSSES
    losses = count - wins
    put(values, reasons, Metric.AVERAGE_LOSS_QUOTE, -lost / losses, losses == 0, reason)
    put(values, reasons, Metric.PROFIT_FACTOR, won / lost, lost == 0.0, reason)
    squares = 0.0
    for place in range(count):
        squares += (trades[place, NET_PROFIT] - mean) * (trades[place, NET_PROFIT] - mean)
    sqn = np.sqrt(float(count)) * (mean / np.sqrt(squares / (count - 1.0)))
    constant = tally.largest == tally.smallest
    reason = _NO_TRADES if none else _TOO_FEW if count == 1 else _NO_VARIANCE
    put(values, reasons, Metric.SQN, sqn, none or constant, reason)


@inner
def measure_excursions(trades: Numbers, values: Numbers, reasons: Bytes) -> None:
    """Measure how far prices went against and for the closed trades, the rows of `trades`."""
    count = len(trades)
    adverse = favorable = 0.0
    for place in range(count):
        adverse += trades[place, ADVERSE]
        favorable += trades[place, FAVORABLE]
    none = count == 0
    metric = Metric.AVERAGE_ADVERSE_EXCURSION_RATIO
    put(values, reasons, metric, adverse / count, none, _NO_TRADES)
    metric = Metric.AVERAGE_FAVORABLE_EXCURSION_RATIO
    put(values, reasons, metric, favorable / count, none, _NO_TRADES)


@inner
def measure_activity(
    trades: Numbers,
    counts: Integers,
    bars: int,
    values: Numbers,
) -> None:
    """Measure what was done in `bars` bars, an open trade in the last row of `trades` included."""
    fees = funding = loss = 0.0
    for place in range(len(trades)):
        fees += trades[place, FEES]
        funding += trades[place, FUNDING]
        loss += trades[place, LIQUIDATION_LOSS]
    values[Metric.EXPOSURE_RATIO] = counts[HELD_BARS] / bars
    values[Metric.FEES_QUOTE] = fees
    values[Metric.FUNDING_QUOTE] = funding
    values[Metric.AMBIGUOUS_BAR_COUNT] = counts[AMBIGUOUS_BARS]
    values[Metric.GAP_FILL_COUNT] = counts[GAP_FILLS]
    values[Metric.REJECTED_ORDER_COUNT] = counts[REJECTED_ORDERS]
    values[Metric.CONFLICTING_ENTRY_COUNT] = counts[CONFLICTING_ENTRIES]
    values[Metric.BUST] = counts[BUSTS]
    values[Metric.LIQUIDATION_COUNT] = counts[LIQUIDATIONS]
    values[Metric.LIQUIDATION_LOSS_QUOTE] = loss
    values[Metric.RESOLVED_BAR_COUNT] = counts[RESOLVED_BARS]
    values[Metric.ADDED_ENTRY_COUNT] = counts[ADDED_ENTRIES]


@inner
def measure_turnover(trades: Numbers, mean_equity: float, values: Numbers) -> None:
    """Measure what was bought and sold, an open trade in the last row of `trades` included."""
    notional = 0.0
    for place in range(len(trades)):
        notional += trades[place, QUANTITY] * trades[place, ENTRY_PRICE]
        if trades[place, EXIT_BAR] >= 0.0:
            notional += trades[place, QUANTITY] * trades[place, EXIT_PRICE]
    values[Metric.TURNOVER_RATIO] = notional / mean_equity
