"""Indicators of a bar's own window: extremes before a bar, deviations, bands.

Every kernel sets out[j] to the value at row first + j; rows without a value are NaN.
"""

from __future__ import annotations

import numpy as np

from services.backtest.core.kernel import Numbers, kernel


@kernel
def extremes_before(prices: Numbers, sign: float, period: int, first: int, out: Numbers) -> None:
    """Highest (sign 1) or lowest (sign -1) of the `period` prices before each row, not its own.

    The row `first` itself gets no value. A ring of rows with falling prices holds the candidates.
    """
    ring = np.empty(period + 1, np.int64)
    head = 0
    count = 0
    out[0] = np.nan
    for row in range(max(0, first + 1 - period), first + len(out)):
        if row > first:
            if count > 0 and ring[head] < row - period:
                head = (head + 1) % (period + 1)
                count -= 1
            out[row - first] = prices[ring[head]] if row >= period else np.nan
        while count > 0:
            last = ring[(head + count - 1) % (period + 1)]
            if sign * prices[last] > sign * prices[row]:
                break
            count -= 1
        ring[(head + count) % (period + 1)] = row
        count += 1


@kernel
def deviations(prices: Numbers, means: Numbers, period: int, first: int, out: Numbers) -> None:
    """Population deviation of the `period` prices that end at each row, around their mean.

    `means` has the shape of `out`.
    """
    for place in range(len(out)):
        mean = means[place]
        end = first + place + 1
        if end < period:
            out[place] = np.nan
            continue
        total = 0.0
        for row in range(end - period, end):
            distance = prices[row] - mean
            total += distance * distance
        out[place] = np.sqrt(total / period)


@kernel
def bands(middles: Numbers, spreads: Numbers, width: float, out: Numbers) -> None:
    """Set out to middle + width x deviation."""
    for place in range(len(out)):
        out[place] = middles[place] + width * spreads[place]
