"""The entries and exits of `turns` listed as they are found, for sets that need no planes."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Integers, Numbers, inner, kernel
from services.backtest.core.planes.bits import count_ones, greater64, trailing_zeros
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.sparse.changes import Bars
from services.backtest.core.unowned import beyond, unowned

_BLOCK: Final = 8
"""Words of a set before the next one's: their rows stay in the processor's nearest memory."""
_SURE: Final = 2
"""Changes of a word written without asking whether there are so many."""
_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


@inner
def _decided(word: int, first: int, end: int) -> np.uint64:
    """Return which bars of a word decide: those from `first` to `end`, half-open."""
    begin, end = first - word * WORD, end - word * WORD
    if begin >= WORD or end <= 0:
        return _NONE
    mask = _ALL << np.uint64(max(0, begin))
    return mask & (_ALL >> np.uint64(WORD - end)) if end < WORD else mask


@inner
def _one_by_one(
    flat: Numbers,
    left: int,
    right: int,
    before: np.uint64,
    decided: np.uint64,
    bar: int,
    changes: Bars,
    count: int,
) -> int:
    """List the changes of a word that holds a tie; return how many there are then."""
    was_above = before != _NONE
    for place in range(WORD):
        one, other = flat[left + place], flat[right + place]
        if (decided >> np.uint64(place)) & _ONE != _NONE:
            changed = one < other if count & 1 else one > other and not was_above
            if changed:
                changes[count] = bar + place
                count += 1
        was_above = one > other
    return count


@inner
def _any_tie(flat: Numbers, left: int, right: int, falls: np.uint64) -> bool:
    """Say whether the rows are equal where the left one ceases to be above; there is seldom more.

    Looking at the first fall where there is none is quicker than asking whether there is one.
    """
    bar = trailing_zeros(falls) & (WORD - 1)
    equal = flat[np.uint64(left + bar)] == flat[np.uint64(right + bar)]
    tied = bool(equal and falls != _NONE)
    falls &= falls - _ONE
    while falls != _NONE:
        bar = trailing_zeros(falls)
        tied |= flat[np.uint64(left + bar)] == flat[np.uint64(right + bar)]
        falls &= falls - _ONE
    return tied


@kernel
def list_turns(
    flat: Numbers,
    lefts: Integers,
    rights: Integers,
    words: int,
    firsts: Integers,
    bars: int,
    state: Words,
    changes: Bars,
    counts: Integers,
) -> None:
    """List where the left rows rise above the right ones and where they are below them again.

    A rise enters, and the first bar below leaves: what `find_changes` makes of the planes of
    `fill_turns`. Rows must be without holes.

    Args:
        flat: The row table of a window of one tile, see `fill_planes`.
        lefts: Where the slot of the left row begins for every set.
        rights: The same of the right row.
        words: Words of the window.
        firsts: Bar of the first decision of every set.
        bars: Bars of the window.
        state: Room for what one block tells the next, shape (sets,).
        changes: Gets the bars, shape (sets, bars + 64).
        counts: Gets how many they are, shape (sets,).
    """
    for row in range(len(lefts)):
        counts[row] = 0
        state[row] = np.uint64(flat[lefts[row] + WORD - 1] > flat[rights[row] + WORD - 1])
    for begin in range(0, words, _BLOCK):
        for row in range(len(lefts)):
            left, right = lefts[row] + WORD * (begin + 1), rights[row] + WORD * (begin + 1)
            before, count = state[row], counts[row]
            inside = firsts[row] <= begin * WORD and (begin + _BLOCK) * WORD < bars
            own = beyond(unowned(changes), row * changes.shape[1])
            for word in range(begin, min(begin + _BLOCK, words)):
                above = greater64(flat, left, flat, right)
                decided = _ALL if inside else _decided(word, firsts[row], bars - 1)
                turns = (above ^ ((above << _ONE) | before)) & decided
                held = count & 1 != 0
                # A fall that follows no entry is none.
                turns &= turns - np.uint64((turns & (_NONE - turns) & ~above != _NONE) & ~held)
                found, rest = count_ones(turns), turns
                for place in range(_SURE):
                    bar = trailing_zeros(rest) & (WORD - 1)
                    own[count + place] = word * WORD + bar
                    rest &= rest - _ONE
                for place in range(_SURE, found):
                    bar = trailing_zeros(rest)
                    own[count + place] = word * WORD + bar
                    rest &= rest - _ONE
                tied = held & (before == _NONE) | _any_tie(flat, left, right, turns & ~above)
                if tied:
                    bar = word * WORD
                    count = _one_by_one(flat, left, right, before, decided, bar, own, count)
                else:
                    count += found
                before = above >> _LAST
                left += WORD
                right += WORD
            state[row], counts[row] = before, count
