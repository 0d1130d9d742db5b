"""Decisions of the order engine: what a bar does to a position, where orders fill.

A position is followed in prices times its side (+1 long, -1 short). Seen so, "high" is always the
favourable extreme, a stop lies below and a target above, and one text serves both sides.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.execution import IntrabarPolicy
from services.backtest.core.kernel import Numbers, inner
from services.backtest.core.ledger import (
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
)
from services.backtest.core.market import Ranges
from services.backtest.core.terms import TIER_COLUMNS, TIER_DEDUCTION, TIER_LIMIT, TIER_RATIO, Terms

# What a bar does to a position: nothing, or one of these, decided by the open or inside the bar.
STAYS: Final = 0
STOPS: Final = 1
REACHES: Final = 2
AT_OPEN: Final = 4
AMBIGUOUS: Final = 8
LIQUIDATES: Final = 16
FALLS: Final = STOPS | LIQUIDATES

_TARGET_FIRST: Final = float(IntrabarPolicy.TARGET_FIRST)
_NEAREST_FIRST: Final = float(IntrabarPolicy.NEAREST_EXTREME_FIRST)
_SLACK: Final = 1e-9
"""A quotient that close to a whole number, relatively, counts as that number."""


class Distances(NamedTuple):
    """Distances of a position's levels as fractions, taken when it was decided on; 0: none."""

    stop: float
    target: float
    trail: float


class Guard(NamedTuple):
    """The levels that end a position, prices times side.

    Attributes:
        stop: Stop; -inf without.
        target: Take-profit; inf without.
        starts: Most favourable price from which on the trailing stop works; inf without.
        trailing: Trailing stop; -inf before it works.
        best: Most favourable price since the entry.
        liquidation: Liquidation price; -inf without leverage.
        margin: Money lost there.
    """

    stop: float
    target: float
    starts: float
    trailing: float
    best: float
    liquidation: float
    margin: float


class Prices(NamedTuple):
    """Prices of a bar: its own, and those liquidation is watched on."""

    open: float
    high: float
    low: float
    mark_open: float
    mark_high: float
    mark_low: float


@inner
def multiples(number: float, units: float, scale: float, up: bool) -> float:
    """Round to a multiple of units / scale, up or down; what is one but for noise stays."""
    steps = number * scale / units
    nearest = np.floor(steps + 0.5)
    if abs(steps - nearest) <= _SLACK * nearest:
        steps = nearest
    else:
        steps = np.ceil(steps) if up else np.floor(steps)
    return float(steps * units / scale)


@inner
def on_tick(price: float, side: float, terms: Terms) -> float:
    """Round a fill that buys (side 1) or sells (side -1) to the tick against the trader."""
    if terms.tick_units > 0.0:
        price = multiples(price, terms.tick_units, terms.tick_scale, side > 0.0)
    return max(price, 0.0)


@inner
def market_fill(price: float, side: float, terms: Terms) -> float:
    """Return the fill of a market order that buys (side 1) or sells (side -1)."""
    return on_tick(price * (1.0 + side * terms.slippage) + side * terms.slip, side, terms)


@inner
def bar_does(prices: Prices, side: float, guard: Guard) -> int:
    """Say what a bar does to a position: the open decides first, liquidation before all.

    Inside the bar the tighter of stop and liquidation counts. Where the bar reaches the target as
    well, it is AMBIGUOUS and both are told.
    """
    open_, high, low = side * prices.open, side * prices.high, side * prices.low
    mark_low = side * (prices.mark_low if side > 0.0 else prices.mark_high)
    if side < 0.0:
        high, low = low, high
    stop = max(guard.stop, guard.trailing)
    if side * prices.mark_open <= guard.liquidation:
        return LIQUIDATES | AT_OPEN
    if open_ <= stop:
        return STOPS | AT_OPEN
    if open_ >= guard.target:
        return REACHES | AT_OPEN
    falls = STOPS if low <= stop else STAYS
    if mark_low <= guard.liquidation and (falls == STAYS or guard.liquidation >= stop):
        falls = LIQUIDATES
    if high < guard.target:
        return falls
    return REACHES if falls == STAYS else falls | REACHES | AMBIGUOUS


@inner
def by_policy(prices: Prices, side: float, does: int, policy: float) -> int:
    """Choose between what an ambiguous bar does."""
    up, down = prices.high - prices.open, prices.open - prices.low
    nearer = up < down if side > 0.0 else down < up
    target_first = policy == _TARGET_FIRST or (policy == _NEAREST_FIRST and nearer)
    return REACHES if target_first else does & FALLS


@inner
def resolved(ranges: Ranges, bar: int, side: float, level: float, target: float, falls: int) -> int:
    """Say what an ambiguous bar does by its shorter candles; STAYS where they cannot tell.

    `level` is the price times side that ends the position at a loss, `falls` what it is then. The
    first candle that touches one level alone decides; one that touches both does not.
    """
    for row in range(ranges.first[bar], ranges.first[bar + 1]):
        high, low = side * ranges.high[row], side * ranges.low[row]
        if side < 0.0:
            high, low = low, high
        down, up = low <= level, high >= target
        if down and up:
            break
        if down or up:
            return falls if down else REACHES
    return STAYS


@inner
def ratcheted(guard: Guard, side: float, best: float, trail: float) -> Guard:
    """Move the trailing stop to the most favourable price since the entry, times side."""
    trailing = best * (1.0 - side * trail) if best >= guard.starts else -np.inf
    stop, target, starts, _, _, liquidation, margin = guard
    return Guard(stop, target, starts, trailing, best, liquidation, margin)


@inner
def guard_of(
    side: float, entry: float, quantity: float, best: float, far: Distances, terms: Terms
) -> Guard:
    """Return the levels of a position, without liquidation."""
    stop = side * entry * (1.0 - side * far.stop) if far.stop > 0.0 else -np.inf
    target = side * entry * (1.0 + side * far.target) if far.target > 0.0 else np.inf
    starts = side * entry * (1.0 + side * terms.activation) if far.trail > 0.0 else np.inf
    margin = quantity * entry / terms.leverage
    return ratcheted(
        Guard(stop, target, starts, -np.inf, best, -np.inf, margin), side, best, far.trail
    )


@inner
def with_liquidation(
    guard: Guard, side: float, entry: float, quantity: float, tiers: Numbers, count: int
) -> Guard:
    """Add the liquidation price of an isolated margin.

    It is entry - side (IM - MM) / quantity with MM = notional x ratio - deduction, of the tier of
    the notional at entry (Bybit, "Liquidation Price (USDT Contract)"). `tiers` are the `count` rows
    of tiers_of, unowned.
    """
    notional = quantity * entry
    tier = 0
    while tier < count - 1 and notional > tiers[tier * TIER_COLUMNS + TIER_LIMIT]:
        tier += 1
    place = tier * TIER_COLUMNS
    kept = notional * tiers[place + TIER_RATIO] - tiers[place + TIER_DEDUCTION]
    price = entry - side * ((guard.margin - kept) / quantity)
    stop, target, starts, trailing, best, _, margin = guard
    return Guard(stop, target, starts, trailing, best, side * price, margin)


@inner
def forced_fill(
    does: int, opened: float, side: float, guard: Guard, terms: Terms
) -> tuple[int, float, float]:
    """Return reason, price and fee ratio of an exit by a bar's prices but liquidation.

    `opened` is the bar's open.
    """
    at_open = does & AT_OPEN != 0
    if does & REACHES:
        limit = opened if at_open and terms.better_open > 0.0 else side * guard.target
        return TAKE_PROFIT, on_tick(limit, -side, terms), terms.target_fee
    level = side * max(guard.stop, guard.trailing)
    price = market_fill(opened if at_open else level, -side, terms)
    return (STOP_LOSS if guard.stop >= guard.trailing else TRAILING_STOP), price, terms.fee


@inner
def bankruptcy_fill(
    side: float, entry: float, quantity: float, guard: Guard, terms: Terms
) -> tuple[float, float]:
    """Return price and loss of a liquidation: the margin, and the fee if there is one."""
    price = entry - side * (guard.margin / quantity)
    return price, guard.margin + quantity * price * terms.liquidation_fee
