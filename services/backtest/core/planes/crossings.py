"""Crossings of rows, 64 bars to a word.

Every function writes `count` words of one register, `out`, shape (sets, words), for all sets, from
word `to` on. `lefts` and `rights` tell where the slot of each set's row begins in `flat`, and
`base` how far on the first bar is. Indices are unsigned: a signed one might be negative, which
numba asks at every access.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.kernel import Bytes, Integers, Numbers, inner
from services.backtest.core.planes.bits import (
    greater64,
    greater64_scalar,
    greater_and_less64,
    greater_equal64,
    greater_equal64_scalar,
    less64_scalar,
    less_equal64,
    less_equal64_scalar,
)
from services.backtest.core.planes.levels import Levels, ordered64
from services.backtest.core.planes.plane_code import RISE
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.unowned import unowned

Words = npt.NDArray[np.uint64]

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)


@inner
def turn(
    flat: Numbers,
    levels: Levels,
    rows: tuple[Integers, Integers],
    base: int,
    whole: Bytes,
    count: int,
    rises: Words,
    falls: Words,
    places: tuple[int, int],
) -> None:
    """A row crosses above another, and below it: both from one look.

    It crosses above where it is above, and was at or below a bar before. Where neither row has
    holes, at or below is "not above". `levels` are those of the rows, at the same places, see
    `fill_levels`, or empty: in a word where no two are equal there are no holes and no ties.
    """
    lefts, rights = rows
    quick, values = len(levels) > 0, unowned(levels)
    for row in range(len(lefts)):
        left, right = lefts[row] + base, rights[row] + base
        before = flat[np.uint64(left - 1)], flat[np.uint64(right - 1)]
        not_above, not_below = np.uint64(before[0] <= before[1]), np.uint64(before[0] >= before[1])
        sound = whole[row]
        for word in range(count):
            above, equal = ordered64(values, left, right) if quick else (_NONE, True)
            below = ~above
            if equal:
                above, below = greater_and_less64(flat, left, flat, right)
            no_above, no_below = ~above, ~below
            if equal and not sound:
                no_above = less_equal64(flat, left, flat, right)
                no_below = greater_equal64(flat, left, flat, right)
            at = np.uint64(row)
            rises[at, np.uint64(places[0] + word)] = above & ((no_above << _ONE) | not_above)
            falls[at, np.uint64(places[1] + word)] = below & ((no_below << _ONE) | not_below)
            not_above, not_below = no_above >> _LAST, no_below >> _LAST
            left += WORD
            right += WORD


@inner
def rise(
    flat: Numbers,
    rows: tuple[Integers, Integers],
    base: int,
    whole: Bytes,
    count: int,
    out: Words,
    to: int,
) -> None:
    """A row crosses above another."""
    lefts, rights = rows
    for row in range(len(lefts)):
        left, right = lefts[row] + base, rights[row] + base
        was_not = np.uint64(flat[np.uint64(left - 1)] <= flat[np.uint64(right - 1)])
        for word in range(count):
            above = greater64(flat, left, flat, right)
            is_not = ~above if whole[row] else less_equal64(flat, left, flat, right)
            out[np.uint64(row), np.uint64(to + word)] = above & ((is_not << _ONE) | was_not)
            was_not = is_not >> _LAST
            left += WORD
            right += WORD


@inner
def cross_level(
    operation: int,
    flat: Numbers,
    lefts: Integers,
    base: int,
    levels: Numbers,
    whole: Bytes,
    count: int,
    out: Words,
    to: int,
) -> None:
    """A row crosses above a number (RISE), or below it (FALL)."""
    for row in range(len(lefts)):
        left, level = lefts[row] + base, levels[row]
        sound = whole[row] and abs(level) < np.inf
        last = flat[np.uint64(left - 1)]
        was_not = np.uint64(last <= level if operation == RISE else last >= level)
        for word in range(count):
            if operation == RISE:
                beyond = greater64_scalar(flat, left, level)
                is_not = ~beyond if sound else less_equal64_scalar(flat, left, level)
            else:
                beyond = less64_scalar(flat, left, level)
                is_not = ~beyond if sound else greater_equal64_scalar(flat, left, level)
            out[np.uint64(row), np.uint64(to + word)] = beyond & ((is_not << _ONE) | was_not)
            was_not = is_not >> _LAST
            left += WORD
