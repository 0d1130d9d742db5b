"""The planes of strategies that hold from a crossing to the opposite one, at half the price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from services.backtest.core.kernel import Integers, Numbers, inner, kernel, merged
from services.backtest.core.planes.bits import greater64, trailing_zeros
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.levels import Levels, ordered64
from services.backtest.core.planes.plane_code import RISE, PlaneCode
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.unowned import unowned

_BLOCK: Final = 8
_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


def turning(code: PlaneCode, signals: Mapping[str, int]) -> tuple[int, int] | None:
    """Return the rows that a code compares, the first one's rise being the entry.

    None where it does anything else than enter one side where a row rises above another, and leave
    it where that one rises above the first.
    """
    sides = (["enter_long", "exit_long"], ["enter_short", "exit_short"])
    if list(signals) not in sides or len(code.instructions) != 1:
        return None
    operation, left, right, first, second = code.instructions[0].tolist()
    if operation != RISE or second < 0 or min(left, right) < 0:
        return None
    return (left, right) if code.outputs[0] == first else (right, left)


@inner
def _first_below(flat: Numbers, left: int, right: int, bar: int) -> tuple[np.uint64, bool]:
    """Look on from a tie; return the bit where the left row is below, and whether ties go on.

    No bit where it is above again first.
    """
    while bar < WORD and flat[left + bar] == flat[right + bar]:
        bar += 1
    if bar == WORD:
        return _NONE, True
    below = flat[left + bar] < flat[right + bar]
    return (_ONE << np.uint64(bar) if below else _NONE), False


@merged
def turned(
    above: np.uint64, before: np.uint64, ties: bool, flat: Numbers, left: int, right: int
) -> tuple[np.uint64, np.uint64, np.uint64, bool]:
    """Return where a row rises above another in a word, and where it is below it again.

    And both of what the next word is told: whether it was above at the bar before, and whether a
    tie goes on.
    """
    earlier = (above << _ONE) | before
    ends = earlier & ~above
    falls = ends
    if ties:
        late, ties = _first_below(flat, left, right, 0)
        falls |= late
    while ends != _NONE:
        bar = trailing_zeros(ends)
        if flat[np.uint64(left + bar)] == flat[np.uint64(right + bar)]:
            late, ties = _first_below(flat, left, right, bar)
            falls = (falls & ~(_ONE << np.uint64(bar))) | late
        ends &= ends - _ONE
    return above & ~earlier, falls, above >> _LAST, ties


@inner
def clear_before(firsts: Integers, begin: int, end: int, opens: Words, leaves: Words) -> None:
    """Clear the bits before the first decision of every set in words from begin to end."""
    for row in range(len(firsts)):
        for word in range(begin, min(end, firsts[row] // WORD + 1)):
            before = firsts[row] - WORD * word
            mask = _ALL << np.uint64(before) if before < WORD else _NONE
            opens[row, word] &= mask
            leaves[row, word] &= mask


@kernel
def fill_turns(
    flat: Numbers,
    levels: Levels,
    lefts: Integers,
    rights: Integers,
    tile: tuple[int, int],
    state: Words,
    firsts: Integers,
    opens: Words,
    leaves: Words,
) -> None:
    """Write where the left rows rise above the right ones, and where they are below them again.

    Who entered where the left row was above leaves where it is below: where it ceases to be above,
    or, when the two are equal there, at the first bar that is no tie and is below. So one
    comparison tells both. Falls that follow no rise, from a touch from below, are left out. Rows
    must be without holes.

    Args:
        flat: The row table, see `fill_planes`.
        levels: Levels of the rows at the same places, see `fill_levels`; empty if there are none.
        lefts: Where the slot of the left row begins for every set.
        rights: The same of the right row.
        tile: First bar of the tile in the window, and bars in it, multiples of 64.
        state: Whether the left row was above at the bar before, and whether a tie goes on, shape
            (2, sets); zeros before the first tile.
        firsts: Bar of the first decision of every set; bits before it are cleared.
        opens: Gets the rises, shape (sets, words of the window).
        leaves: Gets the falls.
    """
    words, start = tile[1] // WORD, tile[0] // WORD
    quick, values = len(levels) > 0, unowned(levels)
    if start == 0:
        for row in range(len(lefts)):
            one, other = flat[lefts[row] + WORD - 1], flat[rights[row] + WORD - 1]
            state[0, row] = np.uint64(one > other)
    for begin in range(0, words, _BLOCK):
        end = min(begin + _BLOCK, words)
        for row in range(len(lefts)):
            left, right = lefts[row] + WORD * (begin + 1), rights[row] + WORD * (begin + 1)
            before, ties = state[0, row], state[1, row] != _NONE
            for word in range(begin, end):
                above, equal = ordered64(values, left, right) if quick else (_NONE, True)
                if equal:
                    above = greater64(flat, left, flat, right)
                if equal | ties:
                    rises, falls, before, ties = turned(above, before, ties, flat, left, right)
                else:
                    earlier = (above << _ONE) | before
                    rises, falls, before = above & ~earlier, earlier & ~above, above >> _LAST
                opens[np.uint64(row), np.uint64(start + word)] = rises
                leaves[np.uint64(row), np.uint64(start + word)] = falls
                left += WORD
                right += WORD
            state[0, row], state[1, row] = before, np.uint64(ties)
    clear_before(firsts, start, start + words, opens, leaves)
