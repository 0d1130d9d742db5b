"""Exact means of prices.

Prices are decimals. Their sums are kept as integers of the smallest decimal scale that holds them
and divided once, so that means which are equal as decimals are equal as numbers, at any scale and
wherever the series starts. Prices that do not fit (more than 10 decimals, or sums beyond 2^53) take
the correctly rounded sum of the window's numbers instead (Shewchuk 1997, as in Python's math.fsum).
Which of the two is used depends on the prices from a mean's first bar to the window's end, and on
nothing else.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel

MOST_DECIMALS: Final = 10
_TOO_MANY: Final = MOST_DECIMALS + 1
_MOST_UNITS: Final = 2.0**50
"""Below it rounding to whole units finds the decimal that was meant, whatever the scale."""
_EXACT: Final = 2.0**53
_POWERS: Final = np.array([10.0**power for power in range(_TOO_MANY)])
_MOST_PARTS: Final = 48
"""A sum of doubles splits into no more than 40 parts that do not overlap."""


@inner
def _fits(price: float, decimals: int) -> bool:
    power = float(_POWERS[decimals])
    scaled = price * power
    if not 0.0 <= scaled < _MOST_UNITS:
        return False
    return float(np.int64(scaled + 0.5)) / power == price


@kernel
def scan_scales(prices: Numbers, decimals: Bytes, largest: Numbers) -> None:
    """Find for every row what all prices from it on need.

    `decimals` gets the decimal places, or 11 where 10 are not enough; `largest` the largest price.
    """
    places = 0
    most = 0.0
    for row in range(len(prices) - 1, -1, -1):
        while places < _TOO_MANY and not _fits(prices[row], places):
            places += 1
        most = max(most, prices[row])
        decimals[row] = places
        largest[row] = most


@kernel
def sum_units(prices: Numbers, first: int, decimals: int, sums: Integers) -> None:
    """Add up prices from row `first` on as integers; sums[i] holds the rows before i.

    The integers may wrap around: differences below 2^53 stay right.
    """
    sums[: first + 1] = 0
    total = np.int64(0)
    for row in range(first, len(prices)):
        total += np.int64(prices[row] * _POWERS[decimals] + 0.5)
        sums[row + 1] = total


@kernel
def means_of_units(sums: Integers, period: int, decimals: int, first: int, out: Numbers) -> None:
    """Set out[j] to the mean of the `period` prices up to row first + j; NaN where too few."""
    divisor = period * _POWERS[decimals]
    for place in range(len(out)):
        end = first + place + 1
        if end < period:
            out[place] = np.nan
        else:
            out[place] = float(sums[end] - sums[end - period]) / divisor


@inner
def _add(parts: Numbers, count: int, number: float) -> int:
    kept = 0
    for place in range(count):
        large, small = number, parts[place]
        if abs(large) < abs(small):
            large, small = small, large
        number = large + small
        rest = small - (number - large)
        if rest != 0.0:
            parts[kept] = rest
            kept += 1
    parts[kept] = number
    return kept + 1


@inner
def _rounded(parts: Numbers, count: int) -> float:
    place = count - 1
    total = float(parts[place])
    rest = 0.0
    while place > 0 and rest == 0.0:
        place -= 1
        large, small = total, parts[place]
        total = large + small
        rest = small - (total - large)
    # Half-way cases: the parts below decide.
    if place > 0 and ((rest < 0.0) == (parts[place - 1] < 0.0)) and parts[place - 1] != 0.0:
        twice = rest * 2.0
        if twice == (total + twice) - total:
            total += twice
    return total


@kernel
def means_of_numbers(prices: Numbers, period: int, first: int, out: Numbers) -> None:
    """Do as `means_of_units` with correctly rounded sums of the prices as they are."""
    parts = np.zeros(_MOST_PARTS)
    count = 1
    begin = max(0, first + 1 - period)
    for row in range(begin, first + len(out)):
        count = _add(parts, count, prices[row])
        if row - period >= begin:
            count = _add(parts, count, -prices[row - period])
        if row >= first:
            enough = row + 1 >= period
            out[row - first] = _rounded(parts, count) / period if enough else np.nan


class Means:
    """Means of one price column, each by the exact way that fits it."""

    def __init__(self, prices: Numbers) -> None:
        """Take the column, shape (bars,), read-only."""
        self._prices = prices
        self._decimals = np.empty(len(prices), np.uint8)
        self._largest = np.empty(len(prices))
        self._sums: dict[int, Integers] = {}
        scan_scales(prices, self._decimals, self._largest)

    def fill(self, period: int, first: int, out: Numbers, anchor: int | None = None) -> None:
        """Set out[j] to the mean of the `period` prices that end at row first + j.

        NaN where fewer rows are there. `first` + len(out) rows must exist, `first` may be -1. When
        `out` is a part of a longer series of means, `anchor` is the row of that series' first mean:
        it decides by which way all of them are taken.
        """
        if first < 0:
            out[0] = np.nan
            first, out = 0, out[1:]
        start = max(0, (first if anchor is None else anchor) + 1 - period)
        if len(self._prices) == 0:
            return
        decimals = int(self._decimals[start])
        if self._is_exact(start, period, decimals):
            means_of_units(self._units(decimals), period, decimals, first, out)
        else:
            means_of_numbers(self._prices, period, first, out)

    def mean(self, last: int, period: int) -> float:
        """Return the mean of the `period` prices that end at row `last`; all of them must exist."""
        out = np.empty(1)
        self.fill(period, last, out)
        return float(out[0])

    def _is_exact(self, start: int, period: int, decimals: int) -> bool:
        if decimals > MOST_DECIMALS:
            return False
        units = float(self._largest[start]) * 10.0**decimals + 1.0
        return units < _MOST_UNITS and period * units < _EXACT

    def _units(self, decimals: int) -> Integers:
        sums = self._sums.get(decimals)
        if sums is None:
            first = int(np.argmax(self._decimals <= decimals))
            sums = np.empty(len(self._prices) + 1, np.int64)
            sum_units(self._prices, first, decimals, sums)
            self._sums[decimals] = sums
        return sums
