"""Walking a held stretch close by close, and writing it down."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.curve import Curve, after_close
from services.backtest.core.engine.fills import pay
from services.backtest.core.engine.orders import Guard, ratcheted
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, merged
from services.backtest.core.market import Charges
from services.backtest.core.unowned import fetch

_GROUP: Final = 8
"""Bars compared at once."""


class Facts(NamedTuple):
    """What unowned arrays do not tell of themselves.

    Attributes:
        bars: Bars of the window.
        words: Words of a plane.
        tiers: Tiers of maintenance margin.
        separate: Whether mark prices are a series of their own.
        funded: Whether there is funding.
        detailed: Whether there are shorter candles.
    """

    bars: int
    words: int
    tiers: int
    separate: bool
    funded: bool
    detailed: bool


class Sheet(NamedTuple):
    """Where a run is written down, unowned.

    Attributes:
        trades: Trade table, TRADE_COLUMNS numbers per trade.
        counts: What is counted, COUNTS zeros before.
        levels: Equity at the span's midnights.
        days: Midnights to tell the equity of: all, or none.
        equity: Equity at every close.
        position: Signed quantity held at every close.
        recording: Whether equity and position are wanted.
        excursions: Whether trades get their excursions.
        conflicts: Whether bars that are to enter both sides are counted.
    """

    trades: Numbers
    counts: Integers
    levels: Numbers
    days: int
    equity: Numbers
    position: Numbers
    recording: bool
    excursions: bool
    conflicts: bool


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


@merged
def _quiet(highs: Numbers, lows: Numbers, at: int, end: int, lower: float, upper: float) -> int:
    """Return the bar after groups of bars from `at` on whose prices stay between two others."""
    while at + _GROUP <= end:
        lowest, highest = lows[at], highs[at]
        for bar in range(at + 1, at + _GROUP):
            lowest, highest = min(lowest, lows[bar]), max(highest, highs[bar])
        if lowest <= lower or highest >= upper:
            break
        at += _GROUP
    return at


@inner
def _trailed(
    gains: Numbers,
    falls: Numbers,
    at: int,
    end: int,
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
    while at < end:
        worst, gain = side * falls[at], side * gains[at]
        level = max(fixed, best * factor if best >= starts else -np.inf)
        if worst <= level or gain >= target:
            break
        best = max(best, gain)
        at += 1
    return at, best


@merged
def _touched(
    ground: Ground, course: Course, side: float, trail: float, guard: Guard
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
        factor = 1.0 - side * trail
        at, best = _trailed(gains, falls, at, end, side, fixed, target, starts, factor, best)
        return at, ratcheted(guard, side, best, trail)
    if fixed == -np.inf and target == np.inf:
        return end, guard
    lower, upper = (fixed, target) if side > 0.0 else (-target, -fixed)
    at = _quiet(highs, lows, at, end, lower, upper)
    while at < end and not (lows[at] <= lower or highs[at] >= upper):
        at += 1
    return at, guard


@merged
def walk(
    ground: Ground,
    course: Course,
    held: tuple[float, float, float, float],
    trail: float,
    guard: Guard,
    curve: Curve,
    trade: Numbers,
    levels: Numbers,
) -> tuple[int, bool, float, int, int, Guard, Curve]:
    """Draw the curve up to a bar, moving the trailing stop and paying funding on the way.

    Returns the bar stopped before, or the one that ends the position, and whether by ruin at its
    close, otherwise by a level; cash, the next charge and the next midnight; guard and curve, the
    guard meaning nothing after ruin. `held` are side, cash, signed quantity and entry price.
    """
    at, end, charged, day, days, _ = course
    closes, midnights, charges = ground.close, ground.midnights, ground.charges
    side, cash, quantity, entry = held
    stop, guard = _touched(ground, course, side, trail, guard)
    fetch(ground.open, stop)
    fetch(ground.follows, stop)
    ruined = False
    while at < stop and not ruined:
        until = min(stop, charged)
        if day < days:
            until = min(until, midnights[day] + 1)
        while at < until:
            value = cash + quantity * (closes[at] - entry)
            if value <= 0.0:
                ruined = True
                break
            curve = after_close(curve, at, value)
            at += 1
        day = mark_days(levels, midnights, days, day, at, curve.previous)
        if at == charged and at < end and not ruined:
            cash -= pay(trade, charges.at_open[at])
            cash -= pay(trade, charges.inside[at])
            charged = charges.following[at + 1]
    return at, ruined, cash, charged, day, guard, curve


@inner
def extremes(
    highs: Numbers, lows: Numbers, start: int, end: int, lowest: float, highest: float
) -> tuple[float, float]:
    """Widen extremes by the bars from start to end, half-open."""
    for at in range(start, end):
        lowest, highest = min(lowest, lows[at]), max(highest, highs[at])
    return lowest, highest


@inner
def mark_days(
    levels: Numbers, midnights: Integers, days: int, day: int, end: int, equity: float
) -> int:
    """Set the levels of midnights told by bars before `end`; return the first of the others.

    `day` of `days` is the first not set yet.
    """
    while day < days and midnights[day] < end:
        levels[day] = equity
        day += 1
    return day


@inner
def record(
    sheet: Sheet, closes: Numbers, start: int, end: int, cash: float, quantity: float, entry: float
) -> None:
    """Write down equity and signed quantity at the closes from start to end, half-open."""
    for bar in range(start, end):
        sheet.equity[bar] = cash + quantity * (closes[bar] - entry)
        sheet.position[bar] = quantity
