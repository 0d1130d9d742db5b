"""Indicators written from their definitions, slowly and plainly, to test the kernels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from tests.unit.backtest.indicators.series import Market, Numbers


def windows(column: Sequence[float], period: int, of: Callable[[list[float]], float]) -> Numbers:
    """Apply a function to every window of `period` numbers."""
    numbers = [float(number) for number in column]
    return np.array(
        [
            of(numbers[row + 1 - period : row + 1]) if row >= period - 1 else math.nan
            for row in range(len(numbers))
        ]
    )


def mean(window: list[float]) -> float:
    """Mean, exact for decimals of at most 10 places with a sum below 2^53 units."""
    decimals = [Decimal(repr(number)) for number in window]
    places = max(_places(number) for number in decimals)
    total = math.fsum(window)
    fits = all(number >= 0 and number * 10 ** _places(number) < 2**50 for number in decimals)
    if places <= 10 and fits and total * 10.0**places <= 2.0**53:
        return float(sum(map(Fraction, decimals)) / len(window))
    return total / len(window)


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def wilder(column: Sequence[float], period: int) -> Numbers:
    """Wilder's mean: seeded by a plain mean, then a share of 1 / period for each number."""
    out = [math.nan] * (period - 1)
    value = math.fsum(column[:period]) / period
    out.append(value)
    for number in column[period:]:
        value += (number - value) / period
        out.append(value)
    return np.array(out)


def exact_deviation(window: Sequence[float]) -> float:
    """Population deviation, rounded only where its variance is, at the root and at the division."""
    numbers = [Fraction(number) for number in window]
    squares = len(numbers) * sum(number**2 for number in numbers) - sum(numbers) ** 2
    return math.sqrt(float(squares)) / len(numbers)


def weighted(window: Sequence[float]) -> float:
    """Mean with weights 1, 2, 3 ..."""
    total = math.fsum(weight * number for weight, number in enumerate(window, 1))
    return total / (len(window) * (len(window) + 1) / 2)


def hull(column: Sequence[float], period: int) -> Numbers:
    """Hull's average from three weighted ones."""
    raw = 2 * windows(column, period // 2, weighted) - windows(column, period, weighted)
    rest = windows(raw[period - 1 :].tolist(), math.isqrt(period), weighted)
    return np.concatenate((np.full(period - 1, math.nan), rest))


def middle(market: Market, period: int) -> Numbers:
    """Mean of the highest high and the lowest low."""
    return (
        windows(market["high"].tolist(), period, max) + windows(market["low"].tolist(), period, min)
    ) / 2


def late(column: Numbers, count: int) -> Numbers:
    """Move a column towards later bars."""
    return np.concatenate((np.full(count, math.nan), column))[: len(column)]


def supertrend(market: Market, ranges: Numbers, factor: float) -> tuple[Numbers, Numbers]:
    """Supertrend as TradingView documents ta.supertrend; its direction with the sign turned."""
    lines, directions = [math.nan] * len(ranges), [math.nan] * len(ranges)
    upper = lower = before = math.nan
    up = False
    for row, width in enumerate(ranges.tolist()):
        if math.isnan(width):
            continue
        close = float(market["close"][row])
        centre = (market["high"][row] + market["low"][row]) / 2
        high, low = centre + factor * width, centre - factor * width
        if not math.isnan(upper):
            low = low if low > lower or before < lower else lower
            high = high if high < upper or before > upper else upper
            up = close >= low if up else close > high
        upper, lower, before = high, low, close
        lines[row], directions[row] = (low, 1.0) if up else (high, -1.0)
    return np.array(lines), np.array(directions)


def heikin_ashi(market: Market) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Open, high, low and close of Heikin-Ashi bars."""
    rows: list[tuple[float, float, float, float]] = []
    for opened, high, low, close in zip(
        *(market[name].tolist() for name in ("open", "high", "low", "close")), strict=True
    ):
        last = (opened + high + low + close) / 4
        first = (rows[-1][0] + rows[-1][3]) / 2 if rows else (opened + close) / 2
        rows.append((first, max(high, first, last), min(low, first, last), last))
    one, two, three, four = np.array(rows).T
    return one, two, three, four


def median(window: list[float]) -> float:
    """The middle of a sorted window."""
    return float(statistics.median(window))
