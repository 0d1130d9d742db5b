"""The planes of `turns` for long windows: most words are told by the extremes of their bars.

Rows that move slowly, as means over hours of minutes do, cross seldom. Where the lowest value of
one row among 64 bars lies above the highest of the other, every bar does, and none is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.backtest.core.evaluation.reading import Place, Reading, read_word
from services.backtest.core.kernel import Integers, Numbers, frozen, inner, kernel
from services.backtest.core.planes.bits import greater64, trailing_zeros
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.mean_order import bounding_factors, mean_order64
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.planes.turns import turned
from services.backtest.core.unowned import beyond, numbers_at, unowned

Places = npt.NDArray[np.int32]

_SELDOM: Final = 8
"""There is room for turns in one of so many words; sets with more are looked at again."""
_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


class _Rows(NamedTuple):
    """Readings as a kernel takes them.

    Attributes:
        addresses: Of the numbers, the lows and the highs, shape (rows, 3).
        places: First, period and defined of `Place`, shape (rows, 3).
        divisors: Shape (rows,).
        factors: See `bounding_factors`, shape (rows, 2).
    """

    addresses: Integers
    places: Integers
    divisors: Numbers
    factors: Numbers


class TurnLists(NamedTuple):
    """The words of sets in which something turns.

    Attributes:
        places: Which words, rising, shape (sets, words); unset beyond their number.
        bits: Where the left row rises above the right one, and where it is below it again, shape
            (sets, words, 2).
        counts: How many words, shape (sets,).
    """

    places: Places
    bits: Words
    counts: Integers


def list_slow_turns(
    readings: Sequence[Reading],
    bar_count: int,
    pairs: tuple[Integers, Integers],
    firsts: Integers,
) -> TurnLists:
    """Return what `fill_turns` writes, of all tiles of a window.

    `pairs` tells which readings are the left and the right row of every set.
    """
    divisors = np.array([row.place.divisor for row in readings])
    rows = _Rows(
        np.array(
            [[one.ctypes.data for one in (row.numbers, row.lows, row.highs)] for row in readings]
        ),
        np.array([row.place[:3] for row in readings], np.int64),
        divisors,
        bounding_factors(divisors),
    )
    owned = _Rows(*map(frozen, rows))
    lefts, rights = map(frozen, pairs)
    values = np.empty(2 * WORD)
    room = -(-bar_count // (WORD * _SELDOM))
    lists = _lists_of(len(firsts), room)
    _list(owned, lefts, rights, bar_count, frozen(firsts), values, lists)
    many = np.flatnonzero(lists.counts > room)
    if not len(many):
        return lists
    wide = _lists_of(len(firsts), int(lists.counts.max()))
    wide.places[:, :room], wide.bits[:, :room], wide.counts[:] = lists
    again = _lists_of(len(many), wide.places.shape[1])
    own = frozen(lefts[many]), frozen(rights[many])
    _list(owned, *own, bar_count, frozen(firsts[many]), values, again)
    wide.places[many], wide.bits[many], wide.counts[many] = again
    return wide


def _lists_of(sets: int, room: int) -> TurnLists:
    return TurnLists(
        np.empty((sets, room), np.int32),
        np.empty((sets, room, 2), np.uint64),
        np.zeros(sets, np.int64),
    )


def fill_slow_turns(lists: TurnLists, opens: Words, leaves: Words) -> None:
    """Write planes of the words of lists."""
    opens[:] = leaves[:] = 0
    for index, count in enumerate(lists.counts.tolist()):
        words = lists.places[index, :count]
        opens[index, words] = lists.bits[index, :count, 0]
        leaves[index, words] = lists.bits[index, :count, 1]


@inner
def _read(rows: _Rows, row: int, bar: int, bars: int, out: Numbers) -> None:
    at = 3 * row
    place = Place(rows.places[at], rows.places[at + 1], rows.places[at + 2], rows.divisors[row])
    read_word(numbers_at(rows.addresses[at]), place, bar, bars, out)


@inner
def _was_above(rows: _Rows, left: int, right: int, one: Numbers, other: Numbers) -> np.uint64:
    """Return whether the left row is above at the bar before the window; 0 where there is none."""
    _read(rows, left, -1, 0, one)
    _read(rows, right, -1, 0, other)
    return np.uint64(one[0] > other[0])


@inner
def _told_apart(rows: _Rows, left: int, right: int, word: int) -> tuple[np.uint64, np.uint64]:
    """Return which of 64 words the left row is above in, at every bar, and which the right one."""
    low, high = numbers_at(rows.addresses[3 * left + 1]), numbers_at(rows.addresses[3 * left + 2])
    other_low = numbers_at(rows.addresses[3 * right + 1])
    other_high = numbers_at(rows.addresses[3 * right + 2])
    return greater64(low, word, other_high, word), greater64(other_low, word, high, word)


@inner
def _ordered(rows: _Rows, left: int, right: int, bar: int, bars: int) -> tuple[bool, np.uint64]:
    """Return where the left row is above in a word, if that can be told without dividing."""
    one, other = 3 * left, 3 * right
    period, other_period = rows.places[one + 1], rows.places[other + 1]
    begin = max(rows.places[one + 2], rows.places[other + 2])
    if min(period, other_period) == 0 or not begin <= bar <= bars - WORD:
        return False, _NONE
    end, other_end = rows.places[one] + bar + 1, rows.places[other] + bar + 1
    above, below = mean_order64(
        numbers_at(rows.addresses[one]),
        end,
        end - period,
        rows.factors[2 * left],
        rows.factors[2 * left + 1],
        numbers_at(rows.addresses[other]),
        other_end,
        other_end - other_period,
        rows.factors[2 * right],
        rows.factors[2 * right + 1],
    )
    return (above | below) == _ALL, above


@kernel
def _list(  # noqa: C901 - one loop, its state in registers
    owned: _Rows,
    lefts: Integers,
    rights: Integers,
    bars: int,
    firsts: Integers,
    values: Numbers,
    lists: TurnLists,
) -> None:
    """List the words, those without room only counted.

    `values` is room for those of a word of both rows.
    """
    rows = _Rows(
        unowned(owned.addresses),
        unowned(owned.places),
        unowned(owned.divisors),
        unowned(owned.factors),
    )
    both = one = unowned(values)
    other = beyond(both, WORD)
    state = np.zeros((2, len(lefts)), np.uint64)
    for index in range(len(lefts)):
        state[0, index] = _was_above(rows, lefts[index], rights[index], one, other)
    places, bits, counts = lists
    held = -(-bars // WORD)
    for start in range(0, held, WORD):
        exist = _ALL if held - start >= WORD else (_ONE << np.uint64(max(0, held - start))) - _ONE
        for index in range(len(lefts)):
            left, right = lefts[index], rights[index]
            before, ties = state[0, index], state[1, index] != _NONE
            over, under = _told_apart(rows, left, right, start)
            mixed = ~(over | under)
            # A word told as the one before it holds nothing.
            looked_at = mixed | (mixed << _ONE) | (over ^ ((over << _ONE) | before))
            looked_at = (looked_at | np.uint64(ties)) & exist
            count, decides = counts[index], firsts[index]
            while looked_at != _NONE:
                word = trailing_zeros(looked_at)
                at = np.uint64(word)
                if word > 0 and (mixed >> (at - _ONE)) & _ONE == _NONE:
                    before, ties = (over >> (at - _ONE)) & _ONE, False
                bar = (start + word) * WORD
                if (mixed >> at) & _ONE == _NONE:
                    above = (over >> at) & _ONE
                    rises, falls = above & ~before, ~above & (before | np.uint64(ties)) & _ONE
                    before, ties = above, False
                else:
                    sure, above = _ordered(rows, left, right, bar, bars)
                    if sure:
                        # Without a tie, one that went on until here ends at the first bar.
                        earlier = (above << _ONE) | before
                        rises, falls = above & ~earlier, ~above & (earlier | np.uint64(ties))
                        before, ties = above >> _LAST, False
                    else:
                        _read(rows, left, bar, bars, one)
                        _read(rows, right, bar, bars, other)
                        above = greater64(both, 0, both, WORD)
                        rises, falls, before, ties = turned(above, before, ties, both, 0, WORD)
                looked_at &= looked_at - _ONE
                if bar + WORD > decides and rises | falls != _NONE:
                    decided = _ALL << np.uint64(max(0, decides - bar))
                    if count < places.shape[1]:
                        places[index, count] = start + word
                        bits[index, count, 0] = rises & decided
                        bits[index, count, 1] = falls & decided
                    count += 1
            if mixed >> _LAST == _NONE:
                before, ties = over >> _LAST, False
            state[0, index], state[1, index] = before, np.uint64(ties)
            counts[index] = count
