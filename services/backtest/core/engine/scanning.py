"""Finding the next bar at which something is wanted, 64 bars at a time."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from services.backtest.core.engine.inputs import Planes
from services.backtest.core.kernel import Integers, merged

NEVER: Final = 1 << 62
"""The bar of what does not happen."""
_NOTHING: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class Wishes(NamedTuple):
    """The planes of a held side and of the other: to enter and to leave each; -1: never."""

    enter: int
    leave: int
    other_enter: int
    other_leave: int


@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """Count the zero bits below the lowest set bit of a word that has one."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), build


@intrinsic
def set_bits(_context: Any, word: Any) -> Any:
    """Count the set bits of a word."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(word), build


@merged
def wishes_of(of: Integers, side: int) -> Wishes:
    """Return the planes as a position of a side sees them."""
    if side > 0:
        return Wishes(of[0], of[1], of[2], of[3])
    return Wishes(of[2], of[3], of[0], of[1])


@merged
def entering(planes: Planes, enter: int, leave: int, word: int) -> np.uint64:
    """Return the bars that enter a side: an exit wins over the entry of its side."""
    bits = _NOTHING
    if enter >= 0:
        bits = planes[enter, word]
        if leave >= 0:
            bits &= ~planes[leave, word]
    return bits


@merged
def wanted_side(planes: Planes, wishes: Wishes, bar: int) -> int:
    """Return the side, as seen by `wishes`, that a flat account enters: 1 own, -1 other, 0."""
    word, place = bar >> 6, np.uint64(bar & 63)
    own = entering(planes, wishes.enter, wishes.leave, word) >> place & _ONE
    other = entering(planes, wishes.other_enter, wishes.other_leave, word) >> place & _ONE
    return int(own) - int(other)


@merged
def is_raised(planes: Planes, plane: int, bar: int) -> bool:
    """Tell whether a plane's bit is set; it is not where the plane is -1."""
    return plane >= 0 and planes[plane, bar >> 6] >> np.uint64(bar & 63) & _ONE != _NOTHING


@merged
def next_opening(planes: Planes, wishes: Wishes, bar: int) -> int:
    """Return the first bar from `bar` on at which one side alone is to be entered, or NEVER."""
    mask = _ALL << np.uint64(bar & 63)
    for word in range(bar >> 6, planes.shape[1]):
        own = entering(planes, wishes.enter, wishes.leave, word)
        other = entering(planes, wishes.other_enter, wishes.other_leave, word)
        bits = (own ^ other) & mask
        if bits != _NOTHING:
            return (word << 6) + trailing_zeros(bits)
        mask = _ALL
    return NEVER


@merged
def next_leaving(planes: Planes, wishes: Wishes, bar: int) -> int:
    """Return the first bar from `bar` on that ends a position: its exit, or the other's entry."""
    mask = _ALL << np.uint64(bar & 63)
    for word in range(bar >> 6, planes.shape[1]):
        bits = entering(planes, wishes.other_enter, wishes.other_leave, word)
        if wishes.enter >= 0:
            bits &= ~planes[wishes.enter, word]
        if wishes.leave >= 0:
            bits |= planes[wishes.leave, word]
        bits &= mask
        if bits != _NOTHING:
            return (word << 6) + trailing_zeros(bits)
        mask = _ALL
    return NEVER


@merged
def next_adding(planes: Planes, wishes: Wishes, bar: int) -> int:
    """Return the first bar from `bar` on that asks for the side held, and for it alone."""
    mask = _ALL << np.uint64(bar & 63)
    for word in range(bar >> 6, planes.shape[1]):
        other = entering(planes, wishes.other_enter, wishes.other_leave, word)
        bits = entering(planes, wishes.enter, wishes.leave, word) & ~other & mask
        if bits != _NOTHING:
            return (word << 6) + trailing_zeros(bits)
        mask = _ALL
    return NEVER


@merged
def count_conflicts(planes: Planes, wishes: Wishes, start: int, end: int) -> int:
    """Count the bars from start to end, half-open, that are to enter both sides."""
    count = 0
    if wishes.enter >= 0 and wishes.other_enter >= 0 and start < end:
        mask = _ALL << np.uint64(start & 63)
        final = (end - 1) >> 6
        for word in range(start >> 6, final + 1):
            own = entering(planes, wishes.enter, wishes.leave, word)
            other = entering(planes, wishes.other_enter, wishes.other_leave, word)
            if word == final:
                mask &= _ALL >> np.uint64(63 - ((end - 1) & 63))
            count += set_bits(own & other & mask)
            mask = _ALL
    return count
