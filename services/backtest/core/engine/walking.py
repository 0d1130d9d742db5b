"""Walking a held stretch close by close, and writing it down."""

from __future__ import annotations

from typing import NamedTuple

from services.backtest.core.curve import Curve, after_close
from services.backtest.core.engine.drawing import drawn
from services.backtest.core.engine.fills import pay
from services.backtest.core.engine.octets import LANES
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
        whole: Whether the sum of equity is wanted.
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
    whole: bool
    excursions: bool
    conflicts: bool


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
    whole: bool,
) -> tuple[int, bool, float, int, int, Guard, Curve]:
    """Draw the curve up to a bar, moving the trailing stop and paying funding on the way.

    Returns the bar stopped before, or the one that ends the position, and whether by ruin at its
    close, otherwise by a level; cash, the next charge and the next midnight; guard and curve, the
    guard meaning nothing after ruin. `held` are side, cash, signed quantity and entry price,
    `behind` the distance of the trailing stop; `whole` tells whether the curve's sum of equity is
    wanted.
    """
    at, end, charged, day, days, _ = course
    closes, midnights, charges = ground.close, ground.midnights, ground.charges
    side, cash, quantity, entry = held
    stop, guard = touched(ground, course, side, behind, guard)
    fetch(ground.open, stop)
    fetch(ground.follows, stop)
    ruined = False
    while at < stop and not ruined:
        until = min(stop, midnights[day] + 1) if day < days else stop
        account = cash, quantity, entry
        at, cash, charged, curve = drawn(
            closes, charges, at, until, ground.bars, charged, account, curve, trade, whole
        )
        until = min(until, at + LANES)
        while at < until:
            if at == charged:
                cash -= pay(trade, charges.at_open[at])
                cash -= pay(trade, charges.inside[at])
                charged = charges.following[at + 1]
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
