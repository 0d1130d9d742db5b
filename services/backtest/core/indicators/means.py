"""Exact means of prices.

Prices are decimals. Their sums are kept as integers of the smallest decimal scale that holds them
and divided once, so that means which are equal as decimals are equal as numbers, at any scale and
wherever the series starts. Where the prices of a mean do not fit (more than 10 decimals, below 0,
or a sum beyond 2^53) it takes the correctly rounded sum of them as numbers instead. Which of the
two is used depends on the prices of that mean and on nothing else: it is as causal as the mean.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np

from services.backtest.core.indicators.expansions import add_number, no_parts, rounded
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel

MOST_DECIMALS: Final = 10
_TOO_MANY: Final = MOST_DECIMALS + 1
_MOST_UNITS: Final = 2.0**50
"""Below it rounding to whole units finds the decimal that was meant, whatever the scale."""
_EXACT: Final = 2.0**53
_STRETCH: Final = 4_096
_POWERS: Final = np.array([10.0**power for power in range(_TOO_MANY)])


@inner
def _fits(price: float, decimals: int) -> bool:
    power = float(_POWERS[decimals])
    scaled = price * power
    if not 0.0 <= scaled < _MOST_UNITS:
        return False
    return float(np.int64(scaled + 0.5)) / power == price


@inner
def _places(price: float) -> int:
    for decimals in range(_TOO_MANY):
        if _fits(price, decimals):
            return decimals
    return _TOO_MANY


@inner
def _units(price: float, decimals: int) -> int:
    if decimals == _TOO_MANY:
        return 0
    power = float(_POWERS[decimals])
    return int(price * power + 0.5)


@inner
def _mean(counts: Integers, sums: Integers, total: float, period: int) -> float:
    most = _TOO_MANY
    while counts[most] == 0:
        most -= 1
    if most == _TOO_MANY:
        return total / period
    power = float(_POWERS[most])
    if total * power > _EXACT:
        return total / period
    units = np.int64(0)
    for decimals in range(most + 1):
        units += sums[decimals] * np.int64(_POWERS[most - decimals])
    return float(units) / (period * power)


@kernel
def scan_scales(prices: Numbers, decimals: Bytes, largest: Numbers) -> None:
    """Find for every row what all prices from it on need.

    `decimals` gets the decimal places, or 11 where 10 are not enough; `largest` the largest price
    from every 4,096th row on.
    """
    places = 0
    most = 0.0
    for row in range(len(prices) - 1, -1, -1):
        while places < _TOO_MANY and not _fits(prices[row], places):
            places += 1
        most = max(most, prices[row])
        decimals[row] = places
        if row % _STRETCH == 0:
            largest[row // _STRETCH] = most


@kernel
def sum_units(prices: Numbers, first: int, decimals: int, sums: Integers | Numbers) -> None:
    """Add up prices from row `first` on as integers; sums[i] holds the rows before i.

    The integers may wrap around: differences below 2^53 stay right.
    """
    sums[: first + 1] = 0
    total = np.int64(0)
    for row in range(first, len(prices)):
        total += np.int64(prices[row] * _POWERS[decimals] + 0.5)
        sums[row + 1] = total


@kernel
def means_of_units(
    sums: Integers | Numbers, period: int, decimals: int, first: int, out: Numbers
) -> None:
    """Set out[j] to the mean of the `period` prices up to row first + j; NaN where too few.

    Sums that are all below 2^53 may come as float64: processors divide several of those at once.
    """
    divisor = period * _POWERS[decimals]
    begin = min(max(0, period - 1 - first), len(out))
    out[:begin] = np.nan
    ends, starts = sums[first + 1 :], sums[max(0, first + 1 + begin - period) :]
    for place in range(begin, len(out)):
        out[place] = float(ends[place] - starts[place - begin]) / divisor


@kernel
def means_of_numbers(prices: Numbers, period: int, first: int, out: Numbers) -> None:
    """Do as `means_of_units` where not all prices fit one scale: each window by itself.

    `sums` and `counts` have a place per number of decimals, the last for prices that do not fit.
    """
    begin = max(0, first + 1 - period)
    end = first + len(out)
    decimals = np.empty(end - begin, np.uint8)
    counts = np.zeros(_TOO_MANY + 1, np.int64)
    sums = np.zeros(_TOO_MANY + 1, np.int64)
    parts, count = no_parts(), 1
    for row in range(begin, end):
        price = prices[row]
        places = _places(price)
        decimals[row - begin] = places
        counts[places] += 1
        sums[places] += _units(price, places)
        count = add_number(parts, count, price)
        if row - period >= begin:
            price = prices[row - period]
            places = decimals[row - period - begin]
            counts[places] -= 1
            sums[places] -= _units(price, places)
            count = add_number(parts, count, -price)
        if row >= first:
            enough = row + 1 >= period
            total = rounded(parts, count)
            out[row - first] = _mean(counts, sums, total, period) if enough else np.nan


class Means:
    """Means of one column of finite numbers, each by the exact way that fits it."""

    def __init__(self, prices: Numbers) -> None:
        """Take the column, shape (bars,), read-only."""
        self._prices = prices
        self._decimals = np.empty(len(prices), np.uint8)
        self._largest = np.empty(len(prices) // _STRETCH + 1)
        self._sums: dict[int, Integers | Numbers] = {}
        scan_scales(prices, self._decimals, self._largest)

    def fill(self, period: int, first: int, out: Numbers, anchor: int | None = None) -> None:
        """Set out[j] to the mean of the `period` prices that end at row first + j.

        NaN where fewer rows are there. `first` + len(out) rows must exist, `first` may be -1. Where
        all prices from the first mean's on, or from the mean's at row `anchor` on, fit one scale,
        they are added up once for all periods; that is faster and gives the same bits.
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

    def source(self, period: int, anchor: int) -> tuple[Numbers, float] | None:
        """Return sums and the divisor that give the means from row `anchor` on.

        The mean at a row is (sums[row + 1] - sums[row + 1 - period]) / divisor. None where means
        are not taken so.
        """
        start = max(0, anchor + 1 - period)
        decimals = int(self._decimals[start])
        if not self._is_exact(start, period, decimals):
            return None
        sums = self._units(decimals)
        if sums.dtype != np.float64:
            return None
        return cast("Numbers", sums), period * 10.0**decimals

    def mean(self, last: int, period: int) -> float:
        """Return the mean of the `period` prices that end at row `last`; all of them must exist."""
        out = np.empty(1)
        self.fill(period, last, out)
        return float(out[0])

    def _is_exact(self, start: int, period: int, decimals: int) -> bool:
        if decimals > MOST_DECIMALS:
            return False
        units = self._largest_from(start) * 10.0**decimals + 1.0
        return units < _MOST_UNITS and period * units < _EXACT

    def _units(self, decimals: int) -> Integers | Numbers:
        known = self._sums.get(decimals)
        if known is not None:
            return known
        first = int(np.argmax(self._decimals <= decimals))
        most = (self._largest_from(first) * 10.0**decimals + 1.0) * (len(self._prices) - first)
        count = len(self._prices) + 1
        sums: Any = np.empty(count, np.float64 if most < _EXACT else np.int64)
        sum_units(self._prices, first, decimals, sums)
        self._sums[decimals] = sums
        return self._sums[decimals]

    def _largest_from(self, row: int) -> float:
        """Return the largest price from a row on."""
        following = -(-row // _STRETCH)
        own = self._prices[row : following * _STRETCH]
        most = float(self._largest[following]) if following * _STRETCH < len(self._prices) else 0.0
        return max(most, float(own.max())) if len(own) else most
