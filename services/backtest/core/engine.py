"""The order engine: one loop over the bars of a window, from flags to fills, equity and trades."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, kernel, merged
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
    SIDE,
)
from services.backtest.core.orders import (
    AMBIGUOUS,
    AT_OPEN,
    STAYS,
    bar_does,
    conflicts,
    forced_fill,
    levels_of,
    market_fill,
    wanted_exit,
    wanted_side,
)
from services.backtest.core.terms import Bars, Terms

# Loops index by unsigned numbers: a signed one might be negative, which numba asks at every access,
# and that costs more than the rest of a quiet bar. Nor are they functions: references to the arrays
# would be counted at every call.
_NEXT: Final = np.uint64(1)


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


@merged
def _hold(  # noqa: C901, PLR0915 - see _NEXT: calls on the way would cost
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
    stop, target, starts = levels_of(side, entry, terms)
    watched = stop > -np.inf or target < np.inf or starts < np.inf
    trailing = -np.inf
    lowest = highest = entry
    wanted = 0
    last = len(equity) - 1
    closing = last if terms.close_at_end > 0.0 else -1
    bar = start
    while True:
        at = np.uint64(bar)
        if not watched:
            # Nothing but a flag or ruin can end the position.
            end = np.uint64(last)
            while at < end and flags[at] == 0:
                value = cash + quantity * (bars.close[at] - entry)
                if value <= 0.0:
                    break
                equity[at] = value
                lowest, highest = min(lowest, bars.low[at]), max(highest, bars.high[at])
                at += _NEXT
            bar = int(np.int64(at))
        else:
            best = side * (highest if side > 0.0 else lowest)
            if best >= starts:
                trailing = best * (1.0 - side * terms.trail)
            prices = (bars.open[at], bars.high[at], bars.low[at])
            does = bar_does(prices, side, max(stop, trailing), target, terms.policy)
            if does != STAYS:
                counts[AMBIGUOUS_BARS] += does & AMBIGUOUS != 0
                counts[HELD_BARS] += does & AT_OPEN == 0
                levels = (stop, trailing, target)
                reason, price, fee = forced_fill(does, bars.open[at], side, levels, terms)
                break
        value = cash + quantity * (bars.close[at] - entry)
        if value <= 0.0 or bar == closing:
            counts[HELD_BARS] += 1
            reason = BUST if value <= 0.0 else END
            price, fee = market_fill(bars.close[at], -side, terms), terms.fee
            break
        equity[at] = value
        lowest, highest = min(lowest, bars.low[at]), max(highest, bars.high[at])
        bar += 1
        if bar > last:
            counts[HELD_BARS] += bar - start
            _leave_open(trade, bars.close[last], lowest, highest)
            return bar, cash, 0
        if flags[bar - 1]:
            counts[CONFLICTING_ENTRIES] += conflicts(flags[bar - 1])
            reason, wanted = wanted_exit(flags[bar - 1], side)
            if reason != OPEN:
                counts[GAP_FILLS] += bars.follows[bar] == 0
                price, fee = market_fill(bars.open[bar], -side, terms), terms.fee
                break
    counts[HELD_BARS] += bar - start
    lowest, highest = min(lowest, bars.open[bar], price), max(highest, bars.open[bar], price)
    _note_excursions(trade, lowest, highest)
    return bar, cash + _exit(trade, bar, price, fee, reason), wanted


@kernel
def simulate(
    plain_bars: tuple[Numbers, Numbers, Numbers, Numbers, Bytes],
    flags: Bytes,
    first: int,
    plain_terms: tuple[float, ...],
    equity: Numbers,
    trades: Numbers,
    counts: Integers,
) -> int:
    """Trade a window and return the number of trades, the last of which may be open.

    Decisions are taken at closes from bar `first` on and filled at the next open. `equity`, shape
    (bars,), gets the equity at every close; `trades`, shape (bars, TRADE_COLUMNS), one row per
    trade; `counts`, shape (COUNTS,), what is counted. Bars and terms come as plain tuples: named
    ones take longer to hand over than a hundred bars to trade.
    """
    bars, terms = Bars(*plain_bars), Terms(*plain_terms)
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
        at, end = np.uint64(bar), np.uint64(last)
        while at < end and flags[at] == 0:
            equity[at] = cash
            at += _NEXT
        bar = int(np.int64(at))
        equity[bar] = cash
        bar += 1
        if bar > last:
            break
        raised = flags[bar - 1]
        counts[CONFLICTING_ENTRIES] += conflicts(raised)
        side = wanted_side(raised)
        while side != 0:
            if cash <= 0.0:
                counts[REJECTED_ORDERS] += 1
                break
            counts[GAP_FILLS] += bars.follows[bar] == 0
            price = market_fill(bars.open[bar], side, terms)
            cash = _enter(trades[count], bar, side, price, cash, terms)
            bar, cash, side = _hold(bars, flags, terms, trades[count], cash, equity, counts)
            count += 1
    return count
