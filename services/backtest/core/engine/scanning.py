"""Finding the next bar at which something is wanted, 64 bars at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.extending import intrinsic

from services.backtest.core.engine.inputs import Planes
from services.backtest.core.kernel import inner

Word = Any
"""64 bits, numpy.uint64: numba knows what it is."""
NEVER: Final = 1 << 62
"""The bar of what does not happen."""
_RUN: Final = 4
"""Words passed over at once, a power of two."""
_NOTHING: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class Wishes(NamedTuple):
    """The words of a side and of the other: to enter and to leave each. Unowned.

    Where `seldom`, bit w of the words in `busy` tells whether word w of any of them holds a bit.
    """

    enter: Planes
    leave: Planes
    other_enter: Planes
    other_leave: Planes
    busy: Planes
    seldom: bool


@intrinsic
def _trailing_zeros(_context: Any, word: Any) -> Any:
    """Count the zero bits below the lowest set bit of a word that has one."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), build


@intrinsic
def _set_bits(_context: Any, word: Any) -> Any:
    """Count the set bits of a word."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(word), build


trailing_zeros: Final = cast("Callable[[Word], int]", _trailing_zeros)
"""Counts the zero bits below the lowest set bit of a word that has one."""

set_bits: Final = cast("Callable[[Word], int]", _set_bits)
"""Counts the set bits of a word."""


@inner
def turned(wishes: Wishes) -> Wishes:
    """Return wishes as the other side sees them."""
    enter, leave, other_enter, other_leave, busy, seldom = wishes
    return Wishes(other_enter, other_leave, enter, leave, busy, seldom)


@inner
def own_entries(wishes: Wishes, word: int) -> Word:
    """Return the bars that enter the side: an exit wins over the entry of its side."""
    return wishes.enter[word] & ~wishes.leave[word]


@inner
def other_entries(wishes: Wishes, word: int) -> Word:
    """Return the bars that enter the other side."""
    return wishes.other_enter[word] & ~wishes.other_leave[word]


@inner
def wanted_side(wishes: Wishes, bar: int) -> int:
    """Return the side a flat account enters: 1 the wishes' own, -1 the other, 0 none."""
    word, place = bar >> 6, np.uint64(bar & 63)
    own, other = own_entries(wishes, word) >> place, other_entries(wishes, word) >> place
    return int(np.int64(own & _ONE)) - int(np.int64(other & _ONE))


@inner
def is_left(wishes: Wishes, bar: int) -> bool:
    """Tell whether a bar asks to leave the side."""
    return bool(wishes.leave[bar >> 6] >> np.uint64(bar & 63) & _ONE != _NOTHING)


@inner
def _is_idle(wishes: Wishes, word: int) -> bool:
    """Tell whether a run of words enters no side: entries that exits win over do not matter."""
    bits = wishes.enter[word] | wishes.other_enter[word]
    for place in range(word + 1, word + _RUN):
        bits |= wishes.enter[place] | wishes.other_enter[place]
    return bool(bits == _NOTHING)


@inner
def _next_busy(wishes: Wishes, words: int, word: int) -> int:
    """Return the first word from `word` on that may hold a bit, or the end."""
    if not wishes.seldom or word >= words:
        return word
    place = word >> 6
    bits = wishes.busy[place] & (_ALL << np.uint64(word & 63))
    while bits == _NOTHING:
        place += 1
        if place << 6 >= words:
            return words
        bits = wishes.busy[place]
    return (place << 6) + trailing_zeros(bits)


@inner
def next_opening(wishes: Wishes, words: int, bar: int) -> int:
    """Return the first bar from `bar` on at which one side alone is to be entered, or NEVER."""
    mask = _ALL << np.uint64(bar & 63)
    word = bar >> 6
    while word < words:
        bits = (own_entries(wishes, word) ^ other_entries(wishes, word)) & mask
        if bits != _NOTHING:
            return (word << 6) + trailing_zeros(bits)
        mask = _ALL
        word = _next_busy(wishes, words, word + 1)
        if word & (_RUN - 1) == 0 and not wishes.seldom:
            while word + _RUN <= words and _is_idle(wishes, word):
                word += _RUN
    return NEVER


@inner
def next_leaving(wishes: Wishes, words: int, bar: int) -> int:
    """Return the first bar from `bar` on that ends a position: its exit, or the other's entry."""
    mask = _ALL << np.uint64(bar & 63)
    word = bar >> 6
    while word < words:
        bits = other_entries(wishes, word) & ~wishes.enter[word]
        bits = (bits | wishes.leave[word]) & mask
        if bits != _NOTHING:
            return (word << 6) + trailing_zeros(bits)
        mask = _ALL
        word = _next_busy(wishes, words, word + 1)
    return NEVER


@inner
def next_adding(wishes: Wishes, words: int, bar: int) -> int:
    """Return the first bar from `bar` on that asks for the side held, and for it alone."""
    mask = _ALL << np.uint64(bar & 63)
    word = bar >> 6
    while word < words:
        bits = own_entries(wishes, word) & ~other_entries(wishes, word) & mask
        if bits != _NOTHING:
            return (word << 6) + trailing_zeros(bits)
        mask = _ALL
        word = _next_busy(wishes, words, word + 1)
    return NEVER


@inner
def count_conflicts(wishes: Wishes, start: int, end: int) -> int:
    """Count the bars from start to end, half-open, that are to enter both sides."""
    count = 0
    if start < end:
        mask = _ALL << np.uint64(start & 63)
        final = (end - 1) >> 6
        for word in range(start >> 6, final + 1):
            if word == final:
                mask &= _ALL >> np.uint64(63 - ((end - 1) & 63))
            count += set_bits(own_entries(wishes, word) & other_entries(wishes, word) & mask)
            mask = _ALL
    return count
