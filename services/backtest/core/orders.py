"""Decisions of the order engine: what flags want, what a bar does to a position, where orders fill.

A position is followed in prices times its side (+1 long, -1 short). Seen so, "high" is always the
favourable extreme, a stop lies below and a target above, and one text serves both sides.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.execution import IntrabarPolicy
from services.backtest.core.kernel import inner
from services.backtest.core.ledger import (
    OPEN,
    REVERSAL,
    SIGNAL,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
)
from services.backtest.core.signals import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from services.backtest.core.terms import Terms

# What a bar does to a position: nothing, or one of these, decided by the open or inside the bar.
STAYS: Final = 0
STOPS: Final = 1
REACHES: Final = 2
AT_OPEN: Final = 4
AMBIGUOUS: Final = 8

_TARGET_FIRST: Final = float(IntrabarPolicy.TARGET_FIRST)
_NEAREST_FIRST: Final = float(IntrabarPolicy.NEAREST_EXTREME_FIRST)


@inner
def bar_does(
    prices: tuple[float, float, float], side: float, stop: float, target: float, policy: float
) -> int:
    """Say what a bar does to a position: the open decides first.

    `prices` are open, high and low; stop and target are prices times side.
    """
    open_, high, low = side * prices[0], side * prices[1], side * prices[2]
    if side < 0.0:
        high, low = low, high
    if open_ <= stop:
        return STOPS | AT_OPEN
    if open_ >= target:
        return REACHES | AT_OPEN
    stops, reaches = low <= stop, high >= target
    if stops and reaches:
        nearer = high - open_ < open_ - low
        target_first = policy == _TARGET_FIRST or (policy == _NEAREST_FIRST and nearer)
        return (REACHES if target_first else STOPS) | AMBIGUOUS
    if stops:
        return STOPS
    return REACHES if reaches else STAYS


@inner
def wanted_side(flags: int) -> int:
    """Return the side to enter: an exit wins over the entry of its side, two entries are none."""
    long = flags & (ENTER_LONG | EXIT_LONG) == ENTER_LONG
    short = flags & (ENTER_SHORT | EXIT_SHORT) == ENTER_SHORT
    return int(long) - int(short)


@inner
def conflicts(flags: int) -> bool:
    """Say whether both sides are to be entered at once, which is neither."""
    return flags & (ENTER_LONG | EXIT_LONG | ENTER_SHORT | EXIT_SHORT) == ENTER_LONG | ENTER_SHORT


@inner
def market_fill(price: float, side: float, terms: Terms) -> float:
    """Return the fill of a market order that buys (side 1) or sells (side -1)."""
    return price * (1.0 + side * terms.slippage)


@inner
def levels_of(side: float, entry: float, terms: Terms) -> tuple[float, float, float]:
    """Return stop, target and the price that starts the trailing stop, all times side."""
    stop = side * entry * (1.0 - side * terms.stop) if terms.stop > 0.0 else -np.inf
    target = side * entry * (1.0 + side * terms.target) if terms.target > 0.0 else np.inf
    starts = side * entry * (1.0 + side * terms.activation) if terms.trail > 0.0 else np.inf
    return stop, target, starts


@inner
def forced_fill(
    does: int, opened: float, side: float, levels: tuple[float, float, float], terms: Terms
) -> tuple[int, float, float]:
    """Return reason, price and fee ratio of an exit by a bar's prices.

    `opened` is the bar's open; `levels` are stop, trailing stop and target, times side.
    """
    stop, trailing, target = levels
    at_open = does & AT_OPEN != 0
    if does & REACHES:
        price = opened if at_open and terms.better_open > 0.0 else side * target
        return TAKE_PROFIT, price, terms.target_fee
    price = market_fill(opened if at_open else side * max(stop, trailing), -side, terms)
    return (STOP_LOSS if stop >= trailing else TRAILING_STOP), price, terms.fee


@inner
def wanted_exit(flags: int, side: float) -> tuple[int, int]:
    """Return the reason to leave a position, OPEN for none, and the side to enter then."""
    wanted = wanted_side(flags)
    if flags & (EXIT_LONG if side > 0.0 else EXIT_SHORT):
        return SIGNAL, wanted
    if wanted == -side:
        return REVERSAL, wanted
    return OPEN, 0
