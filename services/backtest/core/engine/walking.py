"""Walking a held stretch close by close, and writing it down."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.curve import Curve, after_close
from services.backtest.core.kernel import Integers, Numbers, merged
from services.backtest.core.market import Bars, Market
from services.backtest.core.orders import Guard

# Loops index by unsigned numbers: a signed one might be negative, which numba asks at every access.
_NEXT: Final = np.uint64(1)


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
def reach_of(guard: Guard, side: float, separate: bool) -> tuple[float, float]:
    """Return the low and the high price at which a bar must be looked at more closely.

    They are the levels that end the position, and the price at which the trailing stop moves.
    """
    below = max(guard.stop, guard.trailing)
    if not separate:
        below = max(below, guard.liquidation)
    above = min(guard.target, guard.best) if guard.starts < np.inf else guard.target
    return (below, above) if side > 0.0 else (-above, -below)


@merged
def walk(
    market: Market,
    stretch: tuple[int, int, int],
    reach: tuple[float, float],
    mark: tuple[float, float],
    holding: tuple[float, float, float],
    curve: Curve,
) -> tuple[int, Curve]:
    """Draw the curve over a stretch; return its end or the bar that has to be looked at.

    `stretch` are the first bar, the end, and a bar that has been looked at; `mark` are the side,
    0 where the bars' own prices decide on liquidation, and the liquidation price times side;
    `holding` are cash, signed quantity and entry price.
    """
    highs, lows, closes = market.bars.high, market.bars.low, market.bars.close
    mark_side, liquidation = mark
    watched = market.marks.low if mark_side > 0.0 else market.marks.high
    lower, upper = reach
    cash, quantity, entry = holding
    at, stop, looked_at = np.uint64(stretch[0]), np.uint64(stretch[1]), np.uint64(stretch[2])
    while at < stop:
        touched = lows[at] <= lower or highs[at] >= upper
        if mark_side != 0.0:
            touched = touched or mark_side * watched[at] <= liquidation
        if touched and at != looked_at:
            break
        value = cash + quantity * (closes[at] - entry)
        if value <= 0.0:
            break
        curve = after_close(curve, np.int64(at), value)
        at += _NEXT
    return np.int64(at), curve


@merged
def extremes(
    bars: Bars, start: int, end: int, lowest: float, highest: float
) -> tuple[float, float]:
    """Widen extremes by the bars from start to end, half-open."""
    highs, lows = bars.high, bars.low
    for at in range(np.uint64(start), np.uint64(end)):
        lowest, highest = min(lowest, lows[at]), max(highest, highs[at])
    return lowest, highest


@merged
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


@merged
def record(
    sheet: Sheet, market: Market, start: int, end: int, cash: float, quantity: float, entry: float
) -> None:
    """Write down equity and signed quantity at the closes from start to end, half-open."""
    for bar in range(start, end):
        sheet.equity[bar] = cash + quantity * (market.bars.close[bar] - entry)
        sheet.position[bar] = quantity
