"""The planes of strategies that hold from a crossing to the opposite one, at half the price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from services.backtest.core.bits import greater64, trailing_zeros
from services.backtest.core.kernel import Integers, Numbers, inner, kernel
from services.backtest.core.plane_code import RISE, PlaneCode
from services.backtest.core.planes import Words
from services.backtest.core.row_table import WORD

_BLOCK: Final = 8
_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


def turning(code: PlaneCode, signals: Mapping[str, int]) -> bool:
    """Say whether a code enters long where one row crosses above another and leaves where below."""
    return (
        list(signals) == ["enter_long", "exit_long"]
        and code.instructions.tolist() == [[RISE, 0, 1, 0, 1]]
        and code.outputs == (0, 1)
    )


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


@kernel
def fill_turns(
    flat: Numbers, starts: Integers, bars: int, firsts: Integers, opens: Words, leaves: Words
) -> None:
    """Write where the left rows rise above the right ones, and where they are below them again.

    Who is long since the left row was above leaves where it is below: where it ceases to be above,
    or, when the two are equal there, at the first bar that is no tie and is below. So one
    comparison tells both. Falls that follow no rise, from a touch from below, are left out. Rows
    must be without holes.

    Args:
        flat: The row table with one tile, see `fill_planes`.
        starts: Where the slots of the left and the right row begin, shape (sets, 2).
        bars: Bars of the tile, a multiple of 64.
        firsts: Bar of the first decision of every set; bits before it are cleared.
        opens: Gets the rises, shape (sets, words).
        leaves: Gets the falls, shape (sets, words).
    """
    was, tied = np.empty(len(starts), np.uint64), np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        was[row] = np.uint64(flat[starts[row, 0] + WORD - 1] > flat[starts[row, 1] + WORD - 1])
    words = bars // WORD
    for begin in range(0, words, _BLOCK):
        end = min(begin + _BLOCK, words)
        for row in range(len(starts)):
            left = starts[row, 0] + WORD * (begin + 1)
            right = starts[row, 1] + WORD * (begin + 1)
            before, ties = was[row], tied[row]
            for word in range(begin, end):
                above = greater64(flat, left, flat, right)
                earlier = (above << _ONE) | before
                before = above >> _LAST
                ends = earlier & ~above
                falls = ends
                if ties:
                    late, ties = _first_below(flat, left, right, 0)
                    falls |= late
                while ends != _NONE:
                    bar = trailing_zeros(ends)
                    if flat[left + bar] == flat[right + bar]:
                        late, ties = _first_below(flat, left, right, bar)
                        falls = (falls & ~(_ONE << np.uint64(bar))) | late
                    ends &= ends - _ONE
                opens[row, word] = above & ~earlier
                leaves[row, word] = falls
                left += WORD
                right += WORD
            was[row], tied[row] = before, ties
    for row in range(len(starts)):
        for word in range(min(words, firsts[row] // WORD + 1)):
            left_out = firsts[row] - WORD * word
            mask = _ALL << np.uint64(left_out) if left_out < WORD else _NONE
            opens[row, word] &= mask
            leaves[row, word] &= mask
