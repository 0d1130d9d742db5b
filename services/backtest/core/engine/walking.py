"""Walking a held stretch close by close, and writing it down."""

from __future__ import annotations

from typing import NamedTuple

from services.backtest.core.curve import Curve, after_close
from services.backtest.core.engine.fills import pay
from services.backtest.core.engine.lanes import LANES, advance, advance_some
from services.backtest.core.engine.orders import Guard
from services.backtest.core.engine.touching import Course, Ground, touched
from services.backtest.core.kernel import Integers, Numbers, inner, merged
from services.backtest.core.unowned import fetch


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
def _drawn(
    closes: Numbers,
    at: int,
    until: int,
    bars: int,
    cash: float,
    quantity: float,
    entry: float,
    curve: Curve,
) -> tuple[int, Curve]:
    """Draw the curve as far as eight closes at a time do, none of which ruins the account."""
    previous, total, returns, squares, peak, least, trough, peak_bar, longest = curve
    while at < until and at + LANES <= bars:
        count = min(until - at, LANES)
        if count == LANES:
            sums = advance(closes, at, cash, quantity, entry, previous, total, returns, squares)
        else:
            sums = advance_some(
                count, closes, at, cash, quantity, entry, previous, total, returns, squares
            )
        if not sums[3] > 0.0:
            break
        if sums[4] >= peak:
            for bar in range(at, at + count):
                value = cash + quantity * (closes[bar] - entry)
                trough = min(trough, value)
                if value >= peak:
                    if bar - peak_bar > 1:
                        longest = max(longest, bar - peak_bar)
                    least = min(least, trough / peak)
                    peak, peak_bar, trough = value, bar, value
        else:
            trough = min(trough, sums[3])
        total, returns, squares = sums[:3]
        at += count
        previous = cash + quantity * (closes[at - 1] - entry)
    return at, Curve(previous, total, returns, squares, peak, least, trough, peak_bar, longest)


@merged
def walk(
    ground: Ground,
    course: Course,
    held: tuple[float, float, float, float],
    behind: float,
    guard: Guard,
    curve: Curve,
    trade: Numbers,
    levels: Numbers,
) -> tuple[int, bool, float, int, int, Guard, Curve]:
    """Draw the curve up to a bar, moving the trailing stop and paying funding on the way.

    Returns the bar stopped before, or the one that ends the position, and whether by ruin at its
    close, otherwise by a level; cash, the next charge and the next midnight; guard and curve, the
    guard meaning nothing after ruin. `held` are side, cash, signed quantity and entry price,
    `behind` the distance of the trailing stop.
    """
    at, end, charged, day, days, _ = course
    closes, midnights, charges = ground.close, ground.midnights, ground.charges
    side, cash, quantity, entry = held
    stop, guard = touched(ground, course, side, behind, guard)
    fetch(ground.open, stop)
    fetch(ground.follows, stop)
    ruined = False
    while at < stop and not ruined:
        until = min(stop, charged)
        if day < days:
            until = min(until, midnights[day] + 1)
        at, curve = _drawn(closes, at, until, ground.bars, cash, quantity, entry, curve)
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
