"""Walking a held stretch close by close, and writing it down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.backtest.core.curve import Curve, after_close
from services.backtest.core.kernel import Integers, Numbers, inner, merged
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


@merged
def walk(
    prices: tuple[Numbers, Numbers, Numbers, Numbers],
    stretch: tuple[int, int],
    watched_apart: bool,
    holding: tuple[float, float, float, float],
    trail: float,
    guard: Guard,
    curve: Curve,
) -> tuple[int, bool, Guard, Curve]:
    """Draw the curve over a stretch and move the trailing stop.

    Returns the stretch's end, or the bar that ends the position, and whether by ruin at its close;
    otherwise by a level. `prices` are highs, lows and closes, and the mark prices' lows, or highs
    for a short, which count where liquidation is watched apart from the bars; `stretch` the first
    bar and the end; `holding` side, cash, signed quantity and entry price.
    """
    highs, lows, closes, marks = prices
    at, end = stretch
    side, cash, quantity, entry = holding
    lower, upper, level = _reach(guard, side, watched_apart)
    ruined = False
    while at < end:
        low, high = lows[at], highs[at]
        apart = watched_apart and side * marks[at] <= guard.liquidation
        if low <= lower or high >= upper or apart:
            worst, best = (low, high) if side > 0.0 else (-high, -low)
            if worst <= level or best >= guard.target or apart:
                break
            guard = ratcheted(guard, side, max(guard.best, best), trail)
            lower, upper, level = _reach(guard, side, watched_apart)
        value = cash + quantity * (closes[at] - entry)
        if value <= 0.0:
            ruined = True
            break
        curve = after_close(curve, at, value)
        at += 1
    return at, ruined, guard, curve


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
