"""The closed trades of four plain sets at a time.

Every lane is a set. It does what `walk` does with one of its trades, with the same operations in
the same order, so the numbers are the same to the bit; what is left of a set, and its last position
that may stay open, is walked alone from where this ends.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from services.backtest.core.kernel import inner, merged
from services.backtest.core.planes.bits import leading_zeros
from services.backtest.core.quads import (
    LANES,
    gathered,
    larger,
    ones_above,
    smaller,
    spread,
    stored,
    where_unlike,
)
from services.backtest.core.sparse.ranges import (
    CLOSES,
    COLUMNS,
    HIGHEST,
    LOWEST,
    OPENS,
    PRICES,
    RETURNS,
    SQUARES,
    WORST,
)
from services.backtest.core.terms import Terms
from services.backtest.core.unowned import beyond, fetch

# Rows of the states, LANES numbers each.
CASH: Final = 0
PEAK: Final = 1
LEAST: Final = 2
SUM_OF_RETURNS: Final = 3
SUM_OF_SQUARES: Final = 4
WINS: Final = 5
STATES: Final = 6

# Rows of the places, LANES integers each.
LISTS: Final = 0
HELD: Final = 1
_ENTERED: Final = 2
_LEFT: Final = 3
_ENTRY_RECORDS: Final = 4
_EXIT_RECORDS: Final = 5
PLACES: Final = 6

_AHEAD: Final = 6
"""Changes from one whose records are asked for to the one they are asked at."""


@inner
def _level(enter: np.int64, until: np.int64) -> np.int64:
    """Return the level of the table that tells of a stretch, see `ranges`."""
    return np.int64(63 - leading_zeros(np.uint64(enter ^ until | 1)))


@merged
def _locate(table: Any, bars: int, changes: Any, place: int, places: Any) -> None:
    """Write where each set's trade is told of; ask for the records of one to come."""
    for lane in range(LANES):
        at = places[LISTS * LANES + lane] + place
        enter, until = np.int64(changes[at]) + 1, np.int64(changes[at + 1])
        level = _level(enter, until)
        places[_ENTERED * LANES + lane] = enter * PRICES
        places[_LEFT * LANES + lane] = until * PRICES
        places[_ENTRY_RECORDS * LANES + lane] = (level * bars + enter) * COLUMNS
        places[_EXIT_RECORDS * LANES + lane] = (level * bars + until) * COLUMNS
        places[HELD * LANES + lane] += until + 1 - enter
        # Behind a list is room: what is asked for there is not read, whatever it may be.
        enter, until = np.int64(changes[at + _AHEAD]) + 1, np.int64(changes[at + _AHEAD + 1])
        level = _level(enter, until)
        fetch(table, int((level * bars + enter) * COLUMNS))
        fetch(table, int((level * bars + until) * COLUMNS))


@merged
def walk_four(
    prices: Any,
    table: Any,
    bars: int,
    changes: Any,
    count: int,
    terms: Terms,
    places: Any,
    states: Any,
) -> None:
    """Trade four sets from their first change on; see `Walked` for what `states` tell then.

    Args:
        prices: Pointer to `Ranges.prices`.
        table: Pointer to `Ranges.table`.
        bars: Bars of the window.
        changes: Pointer to the changes of all sets.
        count: How many changes to go through, an even number that no set has less of.
        terms: What the sets share.
        places: Pointer to integers, shape (PLACES, LANES). Row LISTS tells where the changes of
            each set begin; row HELD gets the bars held. The others are room to work in.
        states: Pointer to numbers, shape (STATES, LANES): get how the sets stand afterwards.
    """
    buying, selling = spread(1.0 + terms.slippage), spread(1.0 - terms.slippage)
    fee, cost, one = spread(terms.fee), spread(1.0 + terms.fee), spread(1.0)
    cash = peak = spread(terms.capital)
    least = spread(1.0)
    returns, squares, wins = spread(0.0), spread(0.0), spread(0.0)
    entered, left = beyond(places, _ENTERED * LANES), beyond(places, _LEFT * LANES)
    begins, ends = beyond(places, _ENTRY_RECORDS * LANES), beyond(places, _EXIT_RECORDS * LANES)
    for lane in range(LANES):
        places[HELD * LANES + lane] = 0
    for place in range(0, count, 2):
        _locate(table, bars, changes, place, places)
        entry = gathered(prices, entered, OPENS) * buying
        quantity = cash / (entry * cost)
        entry_fee = quantity * entry * fee
        before = cash
        cash = cash - entry_fee
        first_value = cash + quantity * (gathered(prices, entered, CLOSES) - entry)
        change = first_value / before - one
        returns = returns + change
        squares = squares + change * change
        # A bar's own record tells its close alone, but the return into it.
        added = gathered(table, begins, RETURNS) + gathered(table, ends, RETURNS)
        returns = returns + where_unlike(entered, left, added)
        added = gathered(table, begins, SQUARES) + gathered(table, ends, SQUARES)
        squares = squares + where_unlike(entered, left, added)
        worst = smaller(gathered(table, begins, WORST), gathered(table, ends, WORST))
        least = smaller(worst, least)
        first_high, second_low = gathered(table, begins, HIGHEST), gathered(table, ends, LOWEST)
        high = larger(first_high, gathered(table, ends, HIGHEST))
        low = smaller(gathered(table, begins, LOWEST), second_low)
        value = cash + quantity * (gathered(prices, left, CLOSES) - entry)
        lowest, highest = cash + quantity * (low - entry), cash + quantity * (high - entry)
        higher = larger(peak, highest)
        price = gathered(prices, left, PRICES + OPENS) * selling
        gross = quantity * (price - entry)
        exit_fee = quantity * price * fee
        cash = cash + (gross - exit_fee)
        wins = wins + ones_above(gross - (entry_fee + exit_fee), spread(0.0))
        change = cash / value - one
        returns = returns + change
        squares = squares + change * change
        fall = smaller(lowest / peak, second_low / first_high)
        fall = smaller(fall, cash / higher)
        least = smaller(fall, least)
        peak = larger(higher, cash)
    for row, told in enumerate((cash, peak, least, returns, squares, wins)):
        stored(states, row * LANES, told)
