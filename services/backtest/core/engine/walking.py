"""Walking a held stretch close by close, and writing it down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.backtest.core.curve import Curve, after_close
from services.backtest.core.engine.fills import pay
from services.backtest.core.kernel import Integers, Numbers, inner, merged
from services.backtest.core.market import Charges
from services.backtest.core.orders import Guard, ratcheted


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


@merged
def _reach(guard: Guard, side: float, watched_apart: bool) -> tuple[float, float, float]:
    """Return the low and the high price at which a bar must be looked at, and the level times side.

    They are the levels that end the position, and the price at which the trailing stop moves.
    """
    level = max(guard.stop, guard.trailing)
    if not watched_apart:
        level = max(level, guard.liquidation)
    above = min(guard.target, guard.best) if guard.starts < np.inf else guard.target
    return (level, above, level) if side > 0.0 else (-above, -level, level)


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

    high: Numbers
    low: Numbers
    close: Numbers
    mark: Numbers
    midnights: Integers
    charges: Charges


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
    close, otherwise by a level; cash, the next charge and the next midnight; guard and curve.
    `held` are side, cash, signed quantity and entry price.
    """
    at, end, charged, day, days, separate = course
    highs, lows, closes, marks, midnights, charges = ground
    side, cash, quantity, entry = held
    lower, upper, level = _reach(guard, side, separate)
    ruined = False
    while at < end:
        until = min(end, charged)
        if day < days:
            until = min(until, midnights[day] + 1)
        while at < until:
            low, high = lows[at], highs[at]
            apart = separate and side * marks[at] <= guard.liquidation
            if low <= lower or high >= upper or apart:
                worst, best = (low, high) if side > 0.0 else (-high, -low)
                if worst <= level or best >= guard.target or apart:
                    break
                guard = ratcheted(guard, side, max(guard.best, best), trail)
                lower, upper, level = _reach(guard, side, separate)
            value = cash + quantity * (closes[at] - entry)
            if value <= 0.0:
                ruined = True
                break
            curve = after_close(curve, at, value)
            at += 1
        day = mark_days(levels, midnights, days, day, at, curve.previous)
        if at < until:
            break
        if at == charged and at < end:
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
