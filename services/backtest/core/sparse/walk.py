"""The trades of a plain set, each in constant time however long it is held.

The arithmetic of fills is the engine's, so trades, equity at any close and what follows from them
are the same to the bit. Only two numbers are told otherwise than bar by bar. While held at full
equity, equity is proportional to the close: its returns are those of the closes, whose sums are
looked up, and its worst fall from a peak inside the stretch is the closes' worst. Returns of the
bars of entry and exit, and falls from earlier peaks, are taken from equity itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.engine.fills import write_entry, write_exit, write_open_end
from services.backtest.core.engine.sizing import quantity_of
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, merged
from services.backtest.core.ledger import END, GAP_FILLS, HELD_BARS, SIGNAL
from services.backtest.core.planes.bits import leading_zeros
from services.backtest.core.sparse.changes import Bars
from services.backtest.core.sparse.ranges import (
    CLOSES,
    COLUMNS,
    HIGHEST,
    LOWEST,
    OPENS,
    RETURNS,
    SQUARES,
    WORST,
    Ranges,
)
from services.backtest.core.terms import Terms
from services.backtest.core.unowned import fetch, unowned

_OPEN: Final = np.uint64(OPENS)
_CLOSE: Final = np.uint64(CLOSES)
_HIGHEST: Final = np.uint64(HIGHEST)
_LOWEST: Final = np.uint64(LOWEST)
_WORST: Final = np.uint64(WORST)
_RETURNS: Final = np.uint64(RETURNS)
_SQUARES: Final = np.uint64(SQUARES)
_NEXT: Final = np.uint64(1)
_AHEAD: Final = 6
"""Changes from one whose records are asked for to the one they are asked at."""


class Notes(NamedTuple):
    """Where a walk writes what only some metrics need.

    Attributes:
        trades: Trade table; excursions are not told.
        counts: What the engine counts.
        midnights: Bars whose closes tell the equity at UTC midnights, -1 before any; empty where no
            metric needs them.
        levels: Equity at the midnights.
        follows: Whether each bar follows the one before it without a gap.
    """

    trades: Numbers
    counts: Integers
    midnights: Integers
    levels: Numbers
    follows: Bytes


class SoFar(NamedTuple):
    """How a set stands after some closed trades.

    Attributes:
        changes: Changes gone through, two for each trade.
        cash: Equity.
        peak: Highest equity at a close.
        least: As in Walked, like what follows.
        returns: See there.
        squares: See there.
        wins: See there.
        held: See there.
    """

    changes: int
    cash: float
    peak: float
    least: float
    returns: float
    squares: float
    wins: int
    held: np.int64


class Walked(NamedTuple):
    """What a walk tells.

    Attributes:
        final: Equity at the last close.
        returns: Sum of the returns of equity from close to close, the capital before the first.
        squares: Sum of their squares.
        least: Least ratio of equity at a close to its highest before, the capital included.
        closed: Closed trades.
        wins: Those with a net profit.
        held: Bars that hold a position after the open's fills.
        rows: Trades in all, an open one included.
    """

    final: float
    returns: float
    squares: float
    least: float
    closed: int
    wins: int
    held: np.int64
    rows: int


@inner
def _smaller(one: float, other: float) -> float:
    """`min` without its care for NaN: one instruction."""
    return one if one < other else other  # noqa: FURB136 - see above


@inner
def _larger(one: float, other: float) -> float:
    return one if one > other else other  # noqa: FURB136 - see _smaller


@merged
def walk(  # noqa: C901, PLR0912, PLR0915 - one loop: what it called would count references
    ranges: Ranges,
    changes: Bars,
    count: int,
    terms: Terms,
    so_far: SoFar,
    notes: Notes,
    noting: bool,
) -> Walked:
    """Trade a set, given the bars whose closes decide entries and exits in turn.

    An odd `count` leaves the last position to the window's end. Trades are noted if `noting`: then
    none may be closed before.
    """
    # An array taken out of a tuple inside the loop would count references each time.
    prices, table = ranges
    trades, counts, midnights, levels, follows = notes
    last = len(prices) - 1
    buying, selling = 1.0 + terms.slippage, 1.0 - terms.slippage
    begin, cash, peak, least, returns, squares, wins, held = so_far
    final = cash
    closed = row = begin // 2
    day = 0
    if noting:
        counts[:] = 0
    records, bars = unowned(table), np.int64(len(prices))
    for place in range(begin, count, 2):
        if place + _AHEAD + 1 < count:
            # The records of a trade to come: asked for early, they are there in time.
            soon = np.int64(changes[np.uint64(place + _AHEAD)]) + 1
            later = np.int64(changes[np.uint64(place + _AHEAD + 1)])
            depth = np.int64(63 - leading_zeros(np.uint64(soon ^ later | 1)))
            fetch(records, int((depth * bars + soon) * COLUMNS))
            fetch(records, int((depth * bars + later) * COLUMNS))
        decided = np.uint64(changes[np.uint64(place)])
        enter = decided + _NEXT
        leaves = place + 1 < count
        ends = not leaves and terms.close_at_end > 0.0
        # The last bar at whose close the position is held.
        until = np.uint64(changes[np.uint64(place + 1)] if leaves else last - int(ends))
        entry = prices[enter, _OPEN] * buying
        quantity = quantity_of(cash, entry, terms.fee)
        entry_fee = quantity * entry * terms.fee
        before = cash
        cash -= entry_fee
        held += np.int64(until) + 1 - np.int64(enter) + int(ends)
        value = lowest = highest = before
        first_high, second_low = 1.0, 1.0
        if enter <= until:
            value = lowest = highest = cash + quantity * (prices[enter, _CLOSE] - entry)
            change = value / before - 1.0
            returns += change
            squares += change * change
        if enter < until:
            level = np.uint64(63 - leading_zeros(enter ^ until))
            returns += table[level, enter, _RETURNS] + table[level, until, _RETURNS]
            squares += table[level, enter, _SQUARES] + table[level, until, _SQUARES]
            worst, second_worst = table[level, enter, _WORST], table[level, until, _WORST]
            worst = _smaller(worst, second_worst)
            least = _smaller(worst, least)
            first_high, second_low = table[level, enter, _HIGHEST], table[level, until, _LOWEST]
            high, low = table[level, until, _HIGHEST], table[level, enter, _LOWEST]
            high = _larger(first_high, high)
            low = _smaller(low, second_low)
            value = cash + quantity * (prices[until, _CLOSE] - entry)
            lowest, highest = cash + quantity * (low - entry), cash + quantity * (high - entry)
        higher = _larger(peak, highest)
        while day < len(midnights) and midnights[day] <= np.int64(until):
            at = midnights[day]
            levels[day] = before
            if at >= np.int64(enter):
                levels[day] = cash + quantity * (prices[at, CLOSES] - entry)
            day += 1
        if noting:
            write_entry(trades[row], int(np.int64(enter)), 1.0, entry, quantity, terms.fee)
            counts[GAP_FILLS] += follows[enter] == 0
        final = value
        if leaves or ends:
            leave = until + _NEXT
            price = prices[leave, _OPEN] if leaves else prices[leave, _CLOSE]
            price *= selling
            gross = quantity * (price - entry)
            exit_fee = quantity * price * terms.fee
            cash += gross - exit_fee
            wins += gross - (entry_fee + exit_fee) > 0.0
            closed += 1
            change = cash / value - 1.0
            returns += change
            squares += change * change
            final = cash
            if noting:
                reason = SIGNAL if leaves else END
                write_exit(trades[row], int(np.int64(leave)), price, terms.fee, reason)
                counts[GAP_FILLS] += leaves and follows[leave] == 0
        elif noting:
            write_open_end(trades[row], prices[until, _CLOSE])
        # Dividing is quicker than guessing whether it can be spared.
        inner_fall, fall, after = second_low / first_high, lowest / peak, final / higher
        fall = _smaller(fall, inner_fall)
        fall = _smaller(fall, after)
        least = _smaller(fall, least)
        peak = _larger(higher, final)
        row += 1
    while day < len(midnights):
        levels[day] = terms.capital if midnights[day] < 0 else cash
        day += 1
    if noting:
        counts[HELD_BARS] = held
    return Walked(final, returns, squares, least, closed, wins, held, row)
