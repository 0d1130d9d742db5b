"""How large an order is, and whether it may be placed at all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.backtest.core.engine.inputs import (
    FRACTION_LINE,
    LINES,
    STOP_LINE,
    TARGET_LINE,
    TRAIL_LINE,
    VOLATILITY_LINE,
)
from services.backtest.core.engine.orders import Distances, multiples
from services.backtest.core.kernel import Integers, Numbers, inner
from services.backtest.core.terms import (
    FRACTION,
    QUANTITY_BASE,
    QUOTE,
    RISK,
    VOLATILITY,
    Terms,
)
from services.backtest.core.unowned import beyond

_LARGEST_TARGET = 100.0
_BELOW_ONE = np.nextafter(1.0, 0.0)
_ROUNDING = 1.0 + 1e-9
_REJECTED = 0.0


class Drawn(NamedTuple):
    """The `Lines` unowned, with the bars of a row."""

    rows: Numbers
    bars: int
    of: Integers


@inner
def quantity_of(money: float, price: float, fee: float) -> float:
    """Return the quantity whose notional and entry fee together are a sum of money."""
    return money / (price * (1.0 + fee))


@inner
def line_value(lines: Drawn, index: int, line: int, bar: int, otherwise: float) -> float:
    """Return a line's number at a bar, or what the terms say where the set has no such line.

    `index` is the set's; -1 where no set has any line.
    """
    if index >= 0 and lines.of[index * LINES + line] >= 0:
        return float(lines.rows[lines.of[index * LINES + line] * lines.bars + bar])
    return otherwise


@inner
def distances_at(lines: Drawn, index: int, bar: int, terms: Terms) -> tuple[bool, Distances]:
    """Return the distances decided at a bar's close, and whether all of them are usable.

    What a line says must lie within bounds; nothing else undefined (NaN) does.
    """
    sound = True
    stop = line_value(lines, index, STOP_LINE, bar, terms.stop)
    target = line_value(lines, index, TARGET_LINE, bar, terms.target)
    trail = line_value(lines, index, TRAIL_LINE, bar, terms.trail)
    if index >= 0:
        of = beyond(lines.of, index * LINES)
        sound = (
            (of[STOP_LINE] < 0 or 0.0 < stop <= _BELOW_ONE)
            and (of[TARGET_LINE] < 0 or 0.0 < target <= _LARGEST_TARGET)
            and (of[TRAIL_LINE] < 0 or 0.0 < trail <= _BELOW_ONE)
        )
    return sound, Distances(stop, target, trail)


@inner
def quantity_at(
    lines: Drawn, index: int, bar: int, stop: float, price: float, equity: float, terms: Terms
) -> float:
    """Return the quantity of an entry decided at a bar's close, 0 where it is rejected.

    `price` is its fill, `equity` the account's at that time, `stop` the distance of the stop.
    """
    sizing, size = terms.sizing, terms.size
    volatility = 1.0
    if index >= 0 and lines.of[index * LINES + FRACTION_LINE] >= 0:
        sizing, size = FRACTION, line_value(lines, index, FRACTION_LINE, bar, np.nan)
        if not 0.0 < size <= 1.0:
            return _REJECTED
    elif sizing == VOLATILITY:
        volatility = line_value(lines, index, VOLATILITY_LINE, bar, np.nan)
        if not 0.0 < volatility < np.inf:
            return _REJECTED
    return _sized(sizing, size, volatility, stop, price, equity, terms)


@inner
def _sized(
    sizing: float,
    size: float,
    volatility: float,
    stop: float,
    price: float,
    equity: float,
    terms: Terms,
) -> float:
    """Return the quantity, rounded down to the step; 0 for lack of equity or below a minimum."""
    if equity <= 0.0 or price <= 0.0:
        return _REJECTED
    base = terms.capital if terms.on_capital > 0.0 else equity
    if sizing == FRACTION:
        quantity = quantity_of(size * base * terms.leverage, price, terms.fee)
    elif sizing == QUOTE:
        quantity = size / price
    elif sizing == QUANTITY_BASE:
        quantity = size
    else:
        # Without a stop nothing says what is at risk: the division gives infinity.
        quantity = (
            size * base / (price * stop) if sizing == RISK else base * (size / volatility) / price
        )
        quantity = min(quantity_of(base * terms.leverage, price, terms.fee), quantity)
    if terms.step_units > 0.0:
        quantity = multiples(quantity, terms.step_units, terms.step_scale, up=False)
    notional = quantity * price
    if (
        quantity <= 0.0
        or quantity < terms.minimum_quantity
        or notional < terms.minimum_notional
        or notional + notional * terms.fee > equity * terms.leverage * _ROUNDING
    ):
        return _REJECTED
    return quantity
