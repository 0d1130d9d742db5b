"""The order engine: one loop over the bars of a window, from flags to fills, equity and trades.

A position is held in prices multiplied by its side (+1 long, -1 short). Seen so, "high" is always the
favourable extreme, a stop lies below and a target above, and one text serves both sides; the
multiplication is exact, so a short is the exact mirror image of a long.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.execution import Execution, IntrabarPolicy, TargetFill
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel
from services.backtest.core.signals import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT

# Columns of the trade table.
SIDE: Final = 0
ENTRY_BAR: Final = 1
EXIT_BAR: Final = 2
ENTRY_PRICE: Final = 3
EXIT_PRICE: Final = 4
QUANTITY: Final = 5
FEES: Final = 6
NET_PROFIT: Final = 7
EXIT_REASON: Final = 8
ADVERSE: Final = 9
FAVORABLE: Final = 10
TRADE_COLUMNS: Final = 11

# Reasons of an exit, numbers of `Trade.ExitReason` in the contract.
OPEN: Final = 0
SIGNAL: Final = 1
REVERSAL: Final = 2
STOP_LOSS: Final = 3
TAKE_PROFIT: Final = 4
TRAILING_STOP: Final = 5
END: Final = 6
BUST: Final = 7

# Places of what is counted.
HELD_BARS: Final = 0
AMBIGUOUS_BARS: Final = 1
GAP_FILLS: Final = 2
REJECTED_ORDERS: Final = 3
CONFLICTING_ENTRIES: Final = 4
BUSTS: Final = 5
COUNTS: Final = 6

# What a bar does to a position: nothing, or one of these, decided by the open or inside the bar.
_STAYS: Final = 0
_STOPS: Final = 1
_REACHES: Final = 2
_AT_OPEN: Final = 4
_AMBIGUOUS: Final = 8

_TARGET_FIRST: Final = float(IntrabarPolicy.TARGET_FIRST)
_NEAREST_FIRST: Final = float(IntrabarPolicy.NEAREST_EXTREME_FIRST)


class Bars(NamedTuple):
    """The bars of a window: prices, and whether each follows the one before it without a gap."""

    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    follows: Bytes


class Terms(NamedTuple):
    """The execution model as plain numbers; 0 switches a distance off, ratios instead of bps."""

    capital: float
    fee: float
    target_fee: float
    slippage: float
    fraction: float
    stop: float
    target: float
    trail: float
    activation: float
    policy: float
    better_open: float
    close_at_end: float


def terms_of(execution: Execution) -> Terms:
    """Return the terms of an execution model."""
    target_fee_bps = execution.take_profit_fee_bps
    if target_fee_bps is None:
        target_fee_bps = execution.taker_fee_bps
    return Terms(
        capital=float(execution.initial_capital_quote),
        fee=execution.taker_fee_bps / 1e4,
        target_fee=target_fee_bps / 1e4,
        slippage=execution.slippage_bps / 1e4,
        fraction=float(execution.position_fraction_ratio),
        stop=float(execution.stop_loss_ratio or 0.0),
        target=float(execution.take_profit_ratio or 0.0),
        trail=float(execution.trailing_stop_ratio or 0.0),
        activation=float(execution.trailing_activation_ratio or 0.0),
        policy=float(execution.intrabar_policy),
        better_open=float(execution.target_fill is TargetFill.BETTER_OPEN),
        close_at_end=float(execution.close_at_end),
    )


@inner
def _bar_does(
    open_: float, high: float, low: float, stop: float, target: float, policy: float
) -> int:
    """Say what a bar does to a position, in prices times side: the open decides first."""
    if open_ <= stop:
        return _STOPS | _AT_OPEN
    if open_ >= target:
        return _REACHES | _AT_OPEN
    stops, reaches = low <= stop, high >= target
    if stops and reaches:
        nearer = high - open_ < open_ - low
        target_first = policy == _TARGET_FIRST or (policy == _NEAREST_FIRST and nearer)
        return (_REACHES if target_first else _STOPS) | _AMBIGUOUS
    if stops:
        return _STOPS
    return _REACHES if reaches else _STAYS


@inner
def _wanted_side(flags: int) -> int:
    """Return the side to enter: an exit wins over the entry of its side, two entries are none."""
    long = flags & (ENTER_LONG | EXIT_LONG) == ENTER_LONG
    short = flags & (ENTER_SHORT | EXIT_SHORT) == ENTER_SHORT
    return int(long) - int(short)


@inner
def _conflicts(flags: int) -> bool:
    return flags & (ENTER_LONG | EXIT_LONG | ENTER_SHORT | EXIT_SHORT) == ENTER_LONG | ENTER_SHORT


@inner
def _market_fill(price: float, side: float, terms: Terms) -> float:
    """Return the fill of a market order that buys (side 1) or sells (side -1)."""
    return price * (1.0 + side * terms.slippage)


@inner
def _enter(trade: Numbers, bar: int, side: float, price: float, cash: float, terms: Terms) -> float:
    """Write the entry into a trade; return the cash after its fee."""
    quantity = terms.fraction * cash / (price * (1.0 + terms.fee))
    fee = quantity * price * terms.fee
    trade[SIDE] = side
    trade[ENTRY_BAR] = bar
    trade[ENTRY_PRICE] = price
    trade[QUANTITY] = quantity
    trade[FEES] = fee
    return cash - fee


@inner
def _exit(trade: Numbers, bar: int, price: float, fee_ratio: float, reason: int) -> float:
    """Write the exit into a trade; return what it adds to cash."""
    gross = trade[SIDE] * trade[QUANTITY] * (price - trade[ENTRY_PRICE])
    fee = trade[QUANTITY] * price * fee_ratio
    trade[EXIT_BAR] = bar
    trade[EXIT_PRICE] = price
    trade[FEES] += fee
    trade[NET_PROFIT] = gross - trade[FEES]
    trade[EXIT_REASON] = reason
    return gross - fee


@inner
def _leave_open(trade: Numbers, close: float, profit: float) -> None:
    trade[EXIT_BAR] = -1.0
    trade[EXIT_PRICE] = close
    trade[NET_PROFIT] = profit - trade[FEES]
    trade[EXIT_REASON] = OPEN


@inner
def _note_excursions(trade: Numbers, worst: float, best: float) -> None:
    entry = trade[SIDE] * trade[ENTRY_PRICE]
    trade[ADVERSE] = (entry - worst) / trade[ENTRY_PRICE]
    trade[FAVORABLE] = (best - entry) / trade[ENTRY_PRICE]


@inner
def _levels(side: float, entry: float, terms: Terms) -> tuple[float, float, float]:
    """Return stop, target and the price that starts the trailing stop, all times side."""
    stop = side * entry * (1.0 - side * terms.stop) if terms.stop > 0.0 else -np.inf
    target = side * entry * (1.0 + side * terms.target) if terms.target > 0.0 else np.inf
    starts = side * entry * (1.0 + side * terms.activation) if terms.trail > 0.0 else np.inf
    return stop, target, starts


@inner
def _extremes(bars: Bars, bar: int, side: float) -> tuple[float, float]:
    """Return the unfavourable and the favourable extreme of a bar, times side."""
    if side > 0.0:
        return bars.low[bar], bars.high[bar]
    return -bars.high[bar], -bars.low[bar]


@inner
def _forced_exit(
    bars: Bars,
    bar: int,
    side: float,
    levels: tuple[float, float, float],
    terms: Terms,
    counts: Integers,
) -> tuple[int, float, float]:
    """Return reason, price and fee ratio of an exit by a bar's prices; reason OPEN for none.

    `levels` are stop, trailing stop and target, times side.
    """
    stop, trailing, target = levels
    level = max(stop, trailing)
    low, high = _extremes(bars, bar, side)
    does = _bar_does(side * bars.open[bar], high, low, level, target, terms.policy)
    counts[HELD_BARS] += does & _AT_OPEN == 0
    if does == _STAYS:
        return OPEN, 0.0, 0.0
    counts[AMBIGUOUS_BARS] += does & _AMBIGUOUS != 0
    at_open = does & _AT_OPEN != 0
    if does & _REACHES:
        price = bars.open[bar] if at_open and terms.better_open > 0.0 else side * target
        return TAKE_PROFIT, price, terms.target_fee
    price = _market_fill(bars.open[bar] if at_open else side * level, -side, terms)
    return (STOP_LOSS if stop >= trailing else TRAILING_STOP), price, terms.fee


@inner
def _wanted_exit(flags: int, side: float) -> tuple[int, int]:
    """Return the reason to leave a position, OPEN for none, and the side to enter then."""
    wanted = _wanted_side(flags)
    if flags & (EXIT_LONG if side > 0.0 else EXIT_SHORT):
        return SIGNAL, wanted
    if wanted == -side:
        return REVERSAL, wanted
    return OPEN, 0


@inner
def _hold(
    bars: Bars,
    flags: Bytes,
    terms: Terms,
    trade: Numbers,
    cash: float,
    equity: Numbers,
    counts: Integers,
) -> tuple[int, float, int]:
    """Follow a position from its entry to its end, writing equity at the closes it is held over.

    Returns the bar of its exit, len(equity) when it stays open; the cash then; and the side to
    enter at the open of that bar, 0 for none.
    """
    side, entry, bar = trade[SIDE], trade[ENTRY_PRICE], int(trade[ENTRY_BAR])
    stop, target, starts = _levels(side, entry, terms)
    trailing = -np.inf
    worst = best = side * entry
    wanted = 0
    last = len(equity) - 1
    while True:
        if best >= starts:
            trailing = best * (1.0 - side * terms.trail)
        reason, price, fee = _forced_exit(bars, bar, side, (stop, trailing, target), terms, counts)
        if reason != OPEN:
            break
        profit = side * trade[QUANTITY] * (bars.close[bar] - entry)
        if cash + profit <= 0.0 or (bar == last and terms.close_at_end > 0.0):
            reason = BUST if cash + profit <= 0.0 else END
            price, fee = _market_fill(bars.close[bar], -side, terms), terms.fee
            break
        equity[bar] = cash + profit
        low, high = _extremes(bars, bar, side)
        worst, best = min(worst, low), max(best, high)
        if bar == last:
            _leave_open(trade, bars.close[bar], profit)
            _note_excursions(trade, worst, best)
            return last + 1, cash, 0
        bar += 1
        if flags[bar - 1]:
            counts[CONFLICTING_ENTRIES] += _conflicts(flags[bar - 1])
            reason, wanted = _wanted_exit(flags[bar - 1], side)
            if reason != OPEN:
                counts[GAP_FILLS] += bars.follows[bar] == 0
                price, fee = _market_fill(bars.open[bar], -side, terms), terms.fee
                break
    opened = side * bars.open[bar]
    _note_excursions(trade, min(worst, opened, side * price), max(best, opened, side * price))
    return bar, cash + _exit(trade, bar, price, fee, reason), wanted


@kernel
def simulate(
    bars: Bars,
    flags: Bytes,
    first: int,
    terms: Terms,
    equity: Numbers,
    trades: Numbers,
    counts: Integers,
) -> int:
    """Trade a window and return the number of trades, the last of which may be open.

    Decisions are taken at closes from bar `first` on and filled at the next open. `equity`, shape
    (bars,), gets the equity at every close; `trades`, shape (bars, TRADE_COLUMNS), one row per
    trade; `counts`, shape (COUNTS,), what is counted.
    """
    counts[:] = 0
    cash = terms.capital
    equity[:first] = cash
    count = 0
    bar = first
    while bar < len(equity):
        if cash <= 0.0:
            counts[BUSTS] = 1
            equity[bar:] = 0.0
            break
        equity[bar] = cash
        raised = flags[bar]
        bar += 1
        if raised == 0 or bar == len(equity):
            continue
        counts[CONFLICTING_ENTRIES] += _conflicts(raised)
        side = _wanted_side(raised)
        while side != 0:
            if cash <= 0.0:
                counts[REJECTED_ORDERS] += 1
                break
            counts[GAP_FILLS] += bars.follows[bar] == 0
            price = _market_fill(bars.open[bar], side, terms)
            cash = _enter(trades[count], bar, side, price, cash, terms)
            bar, cash, side = _hold(bars, flags, terms, trades[count], cash, equity, counts)
            count += 1
    return count
