"""Exact sums over sliding windows of usable numbers, and what is made of them.

Every function gives a column as long as its input whose first period - 1 values are NaN.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.indicators.expansions import (
    add_number,
    add_product,
    condensed,
    no_parts,
    product_of_two,
    rounded,
    sum_of_two,
)
from services.backtest.core.indicators.means import Means
from services.backtest.core.kernel import Numbers, frozen, inner, kernel

_FEW_PARTS: Final = 8
_DOUBT: Final = 2.0**-94
"""How wrong a spread of condensed sums may be, in terms of period x sum of squares."""


def window_means(values: Numbers, period: int) -> Numbers:
    """Means, exact as of prices."""
    out = np.empty(len(values))
    Means(frozen(values)).fill(period, 0, out)
    return out


def window_sums(values: Numbers, period: int) -> Numbers:
    """Sums, correctly rounded."""
    out = np.full(len(values), np.nan)
    sum_windows(frozen(values), period, out)
    return out


def weighted_means(values: Numbers, period: int) -> Numbers:
    """Means with weights 1 to period, the newest bar's the largest."""
    out = np.full(len(values), np.nan)
    weigh_windows(frozen(values), period, False, out)
    return out


def slopes(values: Numbers, period: int) -> Numbers:
    """Slopes per bar of the least-squares lines; `period` at least 2."""
    out = np.full(len(values), np.nan)
    weigh_windows(frozen(values), period, True, out)
    return out


def deviations(values: Numbers, period: int) -> tuple[Numbers, Numbers]:
    """Population deviations, and distances of the last number from the mean in deviations.

    A window of equal numbers has deviation 0, and no distance (NaN).
    """
    spreads, scores = np.full(len(values), np.nan), np.full(len(values), np.nan)
    deviate_windows(frozen(values), period, spreads, scores)
    return spreads, scores


@kernel
def sum_windows(values: Numbers, period: int, out: Numbers) -> None:
    """Set out to the sums of windows."""
    parts, count = no_parts(), 1
    for row in range(len(values)):
        count = add_number(parts, count, values[row])
        if row >= period:
            count = add_number(parts, count, -values[row - period])
        if row >= period - 1:
            out[row] = rounded(parts, count)


@inner
def _slope(
    sums: Numbers, summed: int, weights: Numbers, weighed: int, parts: Numbers, period: int
) -> float:
    # 6 (2 W - (n + 1) S) / (n (n^2 - 1)), W the sum with weights 1 to n.
    parts[0] = 0.0
    count = 1
    for place in range(weighed):
        count = add_number(parts, count, 2.0 * weights[place])
    for place in range(summed):
        count = add_product(parts, count, -(period + 1.0), sums[place])
    return rounded(parts, count) / (period * (float(period) * period - 1.0) / 6.0)


@kernel
def weigh_windows(values: Numbers, period: int, sloped: bool, out: Numbers) -> None:
    """Set out to the weighted means of windows, or to the slopes of their lines."""
    sums, summed = no_parts(), 1
    weights, weighed = no_parts(), 1
    parts = no_parts()
    total_weight = period * (period + 1.0) / 2.0
    for row in range(len(values)):
        # What was in the window before weighs one less now, the oldest nothing.
        for place in range(summed):
            weighed = add_number(weights, weighed, -sums[place])
        weighed = add_product(weights, weighed, float(period), values[row])
        summed = add_number(sums, summed, values[row])
        if row >= period:
            summed = add_number(sums, summed, -values[row - period])
        if row < period - 1:
            continue
        if sloped:
            out[row] = _slope(sums, summed, weights, weighed, parts, period)
        else:
            out[row] = rounded(weights, weighed) / total_weight


@inner
def _spread(
    sums: Numbers, summed: int, squares: Numbers, squared: int, parts: Numbers, period: int
) -> float:
    """Return n x sum of squares - square of sum, which is n^2 x variance, rounded once."""
    if summed <= _FEW_PARTS and squared <= _FEW_PARTS:
        total, total_rest = condensed(sums, summed)
        square, square_rest = condensed(squares, squared)
        large, large_rest = product_of_two(float(period), square)
        small, small_rest = product_of_two(total, total)
        spread, rest = sum_of_two(large, -small)
        rest += (large_rest - small_rest) + (period * square_rest - 2.0 * total * total_rest)
        spread, rest = sum_of_two(spread, rest)
        doubt = _DOUBT * large
        if spread + (rest - doubt) == spread + (rest + doubt):
            return spread + rest
    parts[0] = 0.0
    count = 1
    for place in range(squared):
        count = add_product(parts, count, float(period), squares[place])
    for place in range(summed):
        count = add_product(parts, count, -sums[place], sums[place])
        for below in range(place):
            count = add_product(parts, count, -2.0 * sums[place], sums[below])
    return max(rounded(parts, count), 0.0)


@kernel
def deviate_windows(values: Numbers, period: int, spreads: Numbers, scores: Numbers) -> None:
    """Set the deviations of windows, and the distances of their last numbers from their means."""
    sums, summed = no_parts(), 1
    squares, squared = no_parts(), 1
    parts = no_parts()
    equal = 0
    for row in range(len(values)):
        value = values[row]
        equal = equal + 1 if row > 0 and value == values[row - 1] else 1
        summed = add_number(sums, summed, value)
        squared = add_product(squares, squared, value, value)
        if row >= period:
            old = values[row - period]
            summed = add_number(sums, summed, -old)
            squared = add_product(squares, squared, -old, old)
        if row < period - 1:
            continue
        # Squares of tiny numbers are not exact: equal ones are told by looking at them.
        spread = 0.0
        if equal < period:
            spread = np.sqrt(_spread(sums, summed, squares, squared, parts, period))
        spreads[row] = spread / period
        if spread > 0.0:
            parts[0] = 0.0
            count = add_product(parts, 1, float(period), value)
            for place in range(summed):
                count = add_number(parts, count, -sums[place])
            scores[row] = rounded(parts, count) / spread
