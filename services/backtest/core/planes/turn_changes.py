"""The entries and exits of `turns` listed as they are found, for sets that need no planes."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Integers, Numbers, inner, kernel, merged
from services.backtest.core.planes.bits import count_ones, greater64, trailing_zeros
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.levels import Levels, ordered64
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.sparse.changes import Bars
from services.backtest.core.unowned import beyond, unowned

_BLOCK: Final = 16
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


@merged
def _written(turns: np.uint64, bar: int, own: Bars, count: int) -> int:
    """Write the bars of a word's turns behind those before; return how many there are then."""
    found, rest = count_ones(turns), turns
    for place in range(_SURE):
        own[count + place] = bar + (trailing_zeros(rest) & (WORD - 1))
        rest &= rest - _ONE
    for place in range(_SURE, found):
        own[count + place] = bar + trailing_zeros(rest)
        rest &= rest - _ONE
    return count + found


@merged
def _by_values(
    flat: Numbers,
    left: int,
    right: int,
    before: np.uint64,
    decided: np.uint64,
    bar: int,
    changes: Bars,
    count: int,
) -> tuple[np.uint64, np.uint64, int]:
    """Return where the left row is above in a word, turns yet to be listed and the count.

    A word that holds a tie is listed at once.
    """
    above = greater64(flat, left, flat, right)
    turns = (above ^ ((above << _ONE) | before)) & decided
    held = count & 1 != 0
    # A fall that follows no entry is none.
    turns &= turns - np.uint64((turns & (_NONE - turns) & ~above != _NONE) & ~held)
    tied = held & (before == _NONE) | _any_tie(flat, left, right, turns & ~above)
    if tied:
        count = _one_by_one(flat, left, right, before, decided, bar, changes, count)
        turns = _NONE
    return above, turns, count


@kernel
def list_turns(
    flat: Numbers,
    levels: Levels,
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
        levels: Levels of the rows at the same places, see `fill_levels`; empty if there are none.
        lefts: Where the slot of the left row begins for every set.
        rights: The same of the right row.
        words: Words of the window.
        firsts: Bar of the first decision of every set.
        bars: Bars of the window.
        state: Room for what one block tells the next, shape (sets,).
        changes: Gets the bars, shape (sets, bars + 64).
        counts: Gets how many they are, shape (sets,).
    """
    values, quick = unowned(flat), unowned(levels)
    for row in range(len(lefts)):
        counts[row] = 0
        state[row] = np.uint64(flat[lefts[row] + WORD - 1] > flat[rights[row] + WORD - 1])
    # Every bar of the words before decides.
    end = (bars - 1) // WORD if len(levels) else 0
    for begin in range(0, words, _BLOCK):
        for row in range(len(lefts)):
            left, right = lefts[row] + WORD * (begin + 1), rights[row] + WORD * (begin + 1)
            before, count = state[row], counts[row]
            own = beyond(unowned(changes), row * changes.shape[1])
            start = (firsts[row] + WORD - 1) // WORD
            for word in range(begin, min(begin + _BLOCK, words)):
                sure = np.uint64(count & 1) == before and start <= word < end
                above, turns, tied = _NONE, _NONE, False
                if sure:
                    above, tied = ordered64(quick, left, right)
                    turns = above ^ ((above << _ONE) | before)
                    sure = not tied
                if not sure:
                    inside = firsts[row] <= word * WORD and (word + 1) * WORD < bars
                    decided = _ALL if inside else _decided(word, firsts[row], bars - 1)
                    above, turns, count = _by_values(
                        values, left, right, before, decided, word * WORD, own, count
                    )
                count = _written(turns, word * WORD, own, count)
                before = above >> _LAST
                left += WORD
                right += WORD
            state[row], counts[row] = before, count
