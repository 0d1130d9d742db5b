"""Exponential means, seeded as TA-Lib seeds them: by the plain mean of their first numbers.

Every function gives a column as long as its input whose first period - 1 values are NaN.
"""

from __future__ import annotations

import numpy as np

from services.backtest.core.indicators.means import Means
from services.backtest.core.kernel import Numbers, frozen, inner, kernel


def exponential_means(values: Numbers, period: int) -> Numbers:
    """EMA: weight 2 / (n + 1) for the newest number."""
    out = np.full(len(values), np.nan)
    if len(values) >= period:
        smooth(frozen(values), period, seed(values, period), out)
    return out


def wilder_means(values: Numbers, period: int) -> Numbers:
    """RMA: weight 1 / n for the newest number (Wilder 1978)."""
    out = np.full(len(values), np.nan)
    if len(values) >= period:
        smooth_as_wilder(frozen(values), period, seed(values, period), out)
    return out


def seed(values: Numbers, period: int, last: int | None = None) -> float:
    """Return the exact mean of `period` numbers up to place `last`; None: of the first ones."""
    end = period if last is None else last + 1
    return Means(frozen(values[end - period : end])).mean(period - 1, period)


@inner
def smoothed(value: float, price: float, period: int) -> float:
    """Move an exponential mean on: k = 2 / (n + 1); a mean of one bar is the bar."""
    if period == 1:
        return price
    return (price - value) * (2.0 / (period + 1.0)) + value


@kernel
def smooth(values: Numbers, period: int, first: float, out: Numbers) -> None:
    """Set out to the exponential means from `first` at place period - 1 on."""
    value = first
    out[period - 1] = value
    for row in range(period, len(values)):
        value = smoothed(value, values[row], period)
        out[row] = value


@kernel
def smooth_as_wilder(values: Numbers, period: int, first: float, out: Numbers) -> None:
    """Do as `smooth` with Wilder's weight."""
    value = first
    out[period - 1] = value
    for row in range(period, len(values)):
        value = (value * (period - 1) + values[row]) / period
        out[row] = value
