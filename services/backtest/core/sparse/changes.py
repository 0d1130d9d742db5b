"""When a plain set enters and leaves: all its changes at once, 64 bars at a time."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.kernel import Integers, kernel, merged
from services.backtest.core.planes.bits import WORD_BARS, count_ones, trailing_zeros

Words = npt.NDArray[np.uint64]
Bars = npt.NDArray[np.int32]

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_SURE: Final = 2
"""Changes of a word written without asking whether there are so many."""
ROOM: Final = WORD_BARS
"""Places that `find_changes` may write to behind the changes."""


@merged
def find_changes(opens: Words, leaves: Words, first: int, bars: int, changes: Bars) -> int:
    """Write the bars whose closes decide an entry, an exit, an entry, ...; return how many.

    Decisions are taken from bar `first` to the last but one, the last whose order can be filled.
    `changes` needs ROOM places more than there may be changes.

    Whether a position is wanted after bar i is a latch: set by an opening, kept unless left. So is
    the carry of an addition: made where both bits are 1, passed on where one is. So the carries of
    adding the bars to stay at and, a part of them, the bars to enter at are 64 bars of the latch.
    """
    count = 0
    carry = _NONE
    end = bars - 1
    start = first // WORD_BARS
    mask = _ALL << np.uint64(first % WORD_BARS)
    for word in range(start, (end + WORD_BARS - 1) // WORD_BARS):
        if (word + 1) * WORD_BARS > end:
            mask &= _ALL >> np.uint64((word + 1) * WORD_BARS - end)
        at = np.uint64(word)
        opening = opens[at] & ~leaves[at] & mask
        staying = ~(leaves[at] & mask)
        mask = _ALL
        total = staying + opening
        carried = total < staying
        total += carry
        before = staying ^ opening ^ total
        after = opening | (staying & before)
        carry = np.uint64(carried | (total < carry))
        changed = before ^ after
        found = count_ones(changed)
        # Guessing how many there are costs more than writing some in vain.
        for place in range(_SURE):
            changes[np.uint64(count + place)] = word * WORD_BARS + trailing_zeros(changed)
            changed &= changed - _ONE
        for place in range(_SURE, found):
            changes[np.uint64(count + place)] = word * WORD_BARS + trailing_zeros(changed)
            changed &= changed - _ONE
        count += found
    return count


@kernel
def list_changes(
    opens: Words, leaves: Words, firsts: Integers, bars: int, changes: Bars, counts: Integers
) -> None:
    """Write the changes of every set, shape (sets, bars + ROOM), and how many there are.

    Sets with a negative first decision are passed over.
    """
    for index in range(len(firsts)):
        counts[index] = 0
        if firsts[index] >= 0:
            counts[index] = find_changes(
                opens[index], leaves[index], firsts[index], bars, changes[index]
            )
