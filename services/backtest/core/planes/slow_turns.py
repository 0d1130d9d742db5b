"""The planes of `turns` for long windows: most words are told by the extremes of their bars.

Rows that move slowly, as means over hours of minutes do, cross seldom. Where the lowest value of
one row among 64 bars lies above the highest of the other, every bar does, and none is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.evaluation.reading import Place, Reading, read_word
from services.backtest.core.kernel import Integers, Numbers, frozen, inner, kernel
from services.backtest.core.planes.bits import greater64, trailing_zeros
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.planes.turns import clear_before, turned
from services.backtest.core.unowned import beyond, numbers_at, unowned

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
    """

    addresses: Integers
    places: Integers
    divisors: Numbers


def fill_slow_turns(
    readings: Sequence[Reading],
    bar_count: int,
    pairs: tuple[Integers, Integers],
    firsts: Integers,
    opens: Words,
    leaves: Words,
) -> None:
    """Write what `fill_turns` writes, for all tiles of a window, up to its last bar.

    `pairs` tells which readings are the left and the right row of every set. The words of the
    planes are whole blocks of 64.
    """
    rows = _Rows(
        np.array(
            [[one.ctypes.data for one in (row.numbers, row.lows, row.highs)] for row in readings]
        ),
        np.array([row.place[:3] for row in readings], np.int64),
        np.array([row.place.divisor for row in readings]),
    )
    lefts, rights = map(frozen, pairs)
    values = np.empty(2 * WORD)
    _fill(_Rows(*map(frozen, rows)), lefts, rights, bar_count, values, opens, leaves)
    clear_before(frozen(firsts), 0, opens.shape[1], opens, leaves)


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


@kernel
def _fill(
    owned: _Rows,
    lefts: Integers,
    rights: Integers,
    bars: int,
    values: Numbers,
    opens: Words,
    leaves: Words,
) -> None:
    """Fill the planes; `values` is room for those of a word of both rows."""
    rows = _Rows(unowned(owned.addresses), unowned(owned.places), unowned(owned.divisors))
    both = one = unowned(values)
    other = beyond(both, WORD)
    state = np.zeros((2, len(lefts)), np.uint64)
    for index in range(len(lefts)):
        state[0, index] = _was_above(rows, lefts[index], rights[index], one, other)
    held = -(-bars // WORD)
    for start in range(0, opens.shape[1], WORD):
        exist = _ALL if held - start >= WORD else (_ONE << np.uint64(max(0, held - start))) - _ONE
        for index in range(len(lefts)):
            left, right = lefts[index], rights[index]
            before, ties = state[0, index], state[1, index] != _NONE
            over, under = _told_apart(rows, left, right, start)
            mixed = ~(over | under)
            # A word told as the one before it holds nothing.
            looked_at = mixed | (mixed << _ONE) | (over ^ ((over << _ONE) | before))
            looked_at = (looked_at | np.uint64(ties)) & exist
            opens[index, start : start + WORD] = _NONE
            leaves[index, start : start + WORD] = _NONE
            while looked_at != _NONE:
                word = trailing_zeros(looked_at)
                at = np.uint64(word)
                if word > 0 and (mixed >> (at - _ONE)) & _ONE == _NONE:
                    before, ties = (over >> (at - _ONE)) & _ONE, False
                if (mixed >> at) & _ONE != _NONE:
                    bar = (start + word) * WORD
                    _read(rows, left, bar, bars, one)
                    _read(rows, right, bar, bars, other)
                    above = greater64(both, 0, both, WORD)
                    rises, falls, before, ties = turned(above, before, ties, both, 0, WORD)
                else:
                    above = (over >> at) & _ONE
                    rises, falls = above & ~before, ~above & (before | np.uint64(ties)) & _ONE
                    before, ties = above, False
                opens[index, start + word], leaves[index, start + word] = rises, falls
                looked_at &= looked_at - _ONE
            if mixed >> _LAST == _NONE:
                before, ties = over >> _LAST, False
            state[0, index], state[1, index] = before, np.uint64(ties)
