"""The order engine: one loop over the bars of a window, from flags to fills, equity and trades.

A position is followed in prices times its side (+1 long, -1 short). Seen so, "high" is always the
favourable extreme, a stop lies below and a target above, and one text serves both sides.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.execution import IntrabarPolicy
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel, merged
from services.backtest.core.ledger import (
    ADVERSE,
    AMBIGUOUS_BARS,
    BUST,
    BUSTS,
    CONFLICTING_ENTRIES,
    END,
    ENTRY_BAR,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_PRICE,
    EXIT_REASON,
    FAVORABLE,
    FEES,
    GAP_FILLS,
    HELD_BARS,
    NET_PROFIT,
    OPEN,
    QUANTITY,
    REJECTED_ORDERS,
    REVERSAL,
    SIDE,
    SIGNAL,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
)
from services.backtest.core.signals import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from services.backtest.core.terms import Bars, Terms

# What a bar does to a position: nothing, or one of these, decided by the open or inside the bar.
_STAYS: Final = 0
_STOPS: Final = 1
_REACHES: Final = 2
_AT_OPEN: Final = 4
_AMBIGUOUS: Final = 8

_TARGET_FIRST: Final = float(IntrabarPolicy.TARGET_FIRST)
_NEAREST_FIRST: Final = float(IntrabarPolicy.NEAREST_EXTREME_FIRST)


@inner
def _bar_does(
    prices: tuple[float, float, float], side: float, stop: float, target: float, policy: float
) -> int:
    """Say what a bar does to a position: the open decides first.

    `prices` are open, high and low; stop and target are prices times side.
    """
    open_, high, low = side * prices[0], side * prices[1], side * prices[2]
    if side < 0.0:
        high, low = low, high
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


@merged
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


@merged
def _exit(trade: Numbers, bar: int, price: float, fee_ratio: float, reason: int) -> float:
    """Write the exit into a trade; return what it adds to cash."""
    gross = trade[SIDE] * trade[QUANTITY] * (price - trade[ENTRY_PRICE])
    fee = trade[QUANTITY] * price * fee_ratio
    trade[EXIT_BAR] = bar
    trade[EXIT_PRICE] = price
    trade[FEES] += fee
    trade[NET_PROFIT] = gross - trade[FEES]
    trade[EXIT_REASON] = reason
    return float(gross - fee)


@merged
def _note_excursions(trade: Numbers, lowest: float, highest: float) -> None:
    """Write the moves from the entry to the extreme prices since into a trade."""
    entry = trade[ENTRY_PRICE]
    down, up = (entry - lowest) / entry, (highest - entry) / entry
    trade[ADVERSE], trade[FAVORABLE] = (down, up) if trade[SIDE] > 0.0 else (up, down)


@merged
def _leave_open(trade: Numbers, close: float, lowest: float, highest: float) -> None:
    """Write the state at the last close into a trade that stays open."""
    gross = trade[SIDE] * trade[QUANTITY] * (close - trade[ENTRY_PRICE])
    trade[EXIT_BAR] = -1.0
    trade[EXIT_PRICE] = close
    trade[NET_PROFIT] = gross - trade[FEES]
    trade[EXIT_REASON] = OPEN
    _note_excursions(trade, lowest, highest)


@inner
def _levels(side: float, entry: float, terms: Terms) -> tuple[float, float, float]:
    """Return stop, target and the price that starts the trailing stop, all times side."""
    stop = side * entry * (1.0 - side * terms.stop) if terms.stop > 0.0 else -np.inf
    target = side * entry * (1.0 + side * terms.target) if terms.target > 0.0 else np.inf
    starts = side * entry * (1.0 + side * terms.activation) if terms.trail > 0.0 else np.inf
    return stop, target, starts


@inner
def _forced_fill(
    does: int, opened: float, side: float, levels: tuple[float, float, float], terms: Terms
) -> tuple[int, float, float]:
    """Return reason, price and fee ratio of an exit by a bar's prices.

    `opened` is the bar's open; `levels` are stop, trailing stop and target, times side.
    """
    stop, trailing, target = levels
    at_open = does & _AT_OPEN != 0
    if does & _REACHES:
        price = opened if at_open and terms.better_open > 0.0 else side * target
        return TAKE_PROFIT, price, terms.target_fee
    price = _market_fill(opened if at_open else side * max(stop, trailing), -side, terms)
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


@merged
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
    start, side, entry = int(trade[ENTRY_BAR]), trade[SIDE], trade[ENTRY_PRICE]
    quantity = side * trade[QUANTITY]
    stop, target, starts = _levels(side, entry, terms)
    watched = stop > -np.inf or target < np.inf or starts < np.inf
    trailing = -np.inf
    lowest = highest = entry
    wanted = 0
    last = len(equity) - 1
    closing = last if terms.close_at_end > 0.0 else -1
    bar = start
    while True:
        if watched:
            best = side * (highest if side > 0.0 else lowest)
            if best >= starts:
                trailing = best * (1.0 - side * terms.trail)
            prices = (bars.open[bar], bars.high[bar], bars.low[bar])
            does = _bar_does(prices, side, max(stop, trailing), target, terms.policy)
            if does != _STAYS:
                counts[AMBIGUOUS_BARS] += does & _AMBIGUOUS != 0
                counts[HELD_BARS] += does & _AT_OPEN == 0
                levels = (stop, trailing, target)
                reason, price, fee = _forced_fill(does, bars.open[bar], side, levels, terms)
                break
        value = cash + quantity * (bars.close[bar] - entry)
        if value <= 0.0 or bar == closing:
            counts[HELD_BARS] += 1
            reason = BUST if value <= 0.0 else END
            price, fee = _market_fill(bars.close[bar], -side, terms), terms.fee
            break
        equity[bar] = value
        lowest, highest = min(lowest, bars.low[bar]), max(highest, bars.high[bar])
        bar += 1
        if bar > last:
            counts[HELD_BARS] += bar - start
            _leave_open(trade, bars.close[last], lowest, highest)
            return bar, cash, 0
        if flags[bar - 1]:
            counts[CONFLICTING_ENTRIES] += _conflicts(flags[bar - 1])
            reason, wanted = _wanted_exit(flags[bar - 1], side)
            if reason != OPEN:
                counts[GAP_FILLS] += bars.follows[bar] == 0
                price, fee = _market_fill(bars.open[bar], -side, terms), terms.fee
                break
    counts[HELD_BARS] += bar - start
    lowest, highest = min(lowest, bars.open[bar], price), max(highest, bars.open[bar], price)
    _note_excursions(trade, lowest, highest)
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
    last = len(equity) - 1
    while bar <= last:
        if cash <= 0.0:
            counts[BUSTS] = 1
            equity[bar:] = 0.0
            break
        while bar < last and flags[bar] == 0:
            equity[bar] = cash
            bar += 1
        equity[bar] = cash
        bar += 1
        if bar > last:
            break
        raised = flags[bar - 1]
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
