"""The first bar that touches a level of a position."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.engine.lanes import highest, touch, trail
from services.backtest.core.engine.octets import LANES
from services.backtest.core.engine.orders import Guard, ratcheted
from services.backtest.core.engine.scanning import Word, trailing_zeros
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, merged
from services.backtest.core.market import Charges

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


class Course(NamedTuple):
    """Where a walk goes.

    Attributes:
        at: The bar whose close comes next; its open is done with.
        end: The bar to stop before.
        charged: The next bar that settles funding.
        day: The next midnight to tell the equity of.
        days: Their number.
        separate: Whether liquidation is watched on prices of its own.
    """

    at: int
    end: int
    charged: int
    day: int
    days: int
    separate: bool


class Ground(NamedTuple):
    """What a walk goes over, unowned: prices, those liquidation is watched on, and events."""

    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    follows: Bytes
    mark: Numbers
    midnights: Integers
    charges: Charges
    bars: int


@inner
def _among(marks: Word, count: int) -> Word:
    """Return the marks of the first bars."""
    return marks if count >= LANES else marks & ((_ONE << np.uint64(count)) - _ONE)


@merged
def _reached(
    highs: Numbers, lows: Numbers, at: int, end: int, bars: int, lower: float, upper: float
) -> int:
    """Return the first bar from `at` on whose prices reach one of two levels, or the end."""
    while at < end and at + LANES <= bars:
        marks = _among(touch(lows, highs, at, lower, upper), end - at)
        if marks != _NONE:
            return at + trailing_zeros(marks)
        at += LANES
    at = min(at, end)
    while at < end and not (lows[at] <= lower or highs[at] >= upper):
        at += 1
    return at


@inner
def _trailed(
    gains: Numbers,
    falls: Numbers,
    at: int,
    end: int,
    bars: int,
    side: float,
    fixed: float,
    target: float,
    starts: float,
    factor: float,
    best: float,
) -> tuple[int, float]:
    """Return the first bar whose prices touch a level, or the end, and the best price before it.

    The trailing stop moves without a branch: whether a bar is the best so far is hard to foretell.
    """
    while at < end and at + LANES <= bars:
        marks, most = trail(gains, falls, at, side, fixed, target, starts, factor, best)
        marks = _among(marks, end - at)
        if marks != _NONE or at + LANES > end:
            count = trailing_zeros(marks) if marks != _NONE else end - at
            return at + count, highest(gains, at, side, count, best)
        best = most
        at += LANES
    while at < end:
        worst, gain = side * falls[at], side * gains[at]
        level = max(fixed, best * factor if best >= starts else -np.inf)
        if worst <= level or gain >= target:
            break
        best = max(best, gain)
        at += 1
    return at, best


@merged
def touched(
    ground: Ground, course: Course, side: float, behind: float, guard: Guard
) -> tuple[int, Guard]:
    """Return the first bar whose prices touch a level, or the end, and the guard before it."""
    at, end = course.at, course.end
    highs, lows, marks = ground.high, ground.low, ground.mark
    stop, target, starts, _, best, liquidation, _ = guard
    fixed = max(stop, liquidation)
    if course.separate:
        fixed = stop
        limit = at
        while limit < end and side * marks[limit] > liquidation:
            limit += 1
        end = limit
    if starts < np.inf:
        gains, falls = (highs, lows) if side > 0.0 else (lows, highs)
        factor = 1.0 - side * behind
        at, best = _trailed(
            gains, falls, at, end, ground.bars, side, fixed, target, starts, factor, best
        )
        return at, ratcheted(guard, side, best, behind)
    if fixed == -np.inf and target == np.inf:
        return end, guard
    lower, upper = (fixed, target) if side > 0.0 else (-target, -fixed)
    return _reached(highs, lows, at, end, ground.bars, lower, upper), guard
