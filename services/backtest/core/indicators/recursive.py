"""Indicators that carry a value from bar to bar, seeded as TA-Lib seeds them.

Every kernel takes the row where its indicator starts, so a value depends on nothing before it, and
sets out[j] to the value at row first + j; rows without a value are NaN.
"""

from __future__ import annotations

import numpy as np

from services.backtest.core.kernel import Numbers, inner, kernel


@inner
def _smoothed(value: float, price: float, period: int) -> float:
    """Move an exponential mean on: k = 2 / (n + 1); a mean of one bar is the bar."""
    if period == 1:
        return price
    return (price - value) * (2.0 / (period + 1.0)) + value


@kernel
def exponential_means(
    prices: Numbers, period: int, start: int, seed: float, first: int, out: Numbers
) -> None:
    """EMA: `seed`, the mean of the `period` prices from row `start`, is its first value."""
    defined = start + period - 1
    out[: max(0, defined - first)] = np.nan
    value = seed
    for row in range(defined, first + len(out)):
        if row > defined:
            value = _smoothed(value, prices[row], period)
        if row >= first:
            out[row - first] = value


@kernel
def macd_lines(
    prices: Numbers,
    periods: tuple[int, int],
    seeds: tuple[float, float],
    defined: int,
    first: int,
    out: Numbers,
) -> None:
    """MACD line: fast EMA less slow EMA.

    As in TA-Lib both begin at row `defined`, each with the mean of its own `period` prices up to
    there, given in `seeds`.
    """
    out[: max(0, defined - first)] = np.nan
    fast, slow = seeds
    for row in range(defined, first + len(out)):
        if row > defined:
            fast = _smoothed(fast, prices[row], periods[0])
            slow = _smoothed(slow, prices[row], periods[1])
        if row >= first:
            out[row - first] = fast - slow


@kernel
def signal_lines(line: Numbers, period: int, start: int, first: int, out: Numbers) -> None:
    """MACD signal: EMA of the line from place `start` of it on, seeded by their plain mean."""
    defined = start + period - 1
    out[: max(0, defined - first)] = np.nan
    value = 0.0
    for row in range(start, first + len(out)):
        if row <= defined:
            value += line[row]
        if row == defined:
            value /= period
        elif row > defined:
            value = _smoothed(value, line[row], period)
        if row >= first and row >= defined:
            out[row - first] = value


@kernel
def relative_strengths(prices: Numbers, period: int, start: int, first: int, out: Numbers) -> None:
    """RSI (Wilder 1978): 100 x average gain / (average gain + average loss); 50 without movement.

    The first averages are plain means of the first `period` changes after row `start`.
    """
    defined = start + period
    out[: max(0, defined - first)] = np.nan
    gains = 0.0
    losses = 0.0
    for row in range(start + 1, first + len(out)):
        change = prices[row] - prices[row - 1]
        if row > defined:
            gains *= period - 1
            losses *= period - 1
        gains += max(change, 0.0)
        losses -= min(change, 0.0)
        if row >= defined:
            gains /= period
            losses /= period
            if row >= first:
                moved = gains + losses
                out[row - first] = 100.0 * (gains / moved) if moved > 0.0 else 50.0
