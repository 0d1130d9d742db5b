"""Ranges of bars: true range, its average, and directional movement."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.indicators.families import (
    RECURSIVE_LOOKBACK,
    Output,
    bars,
    recursive,
    whole,
    windowed,
)
from services.backtest.core.indicators.operation import Columns, Operation, Statics
from services.backtest.core.indicators.smoothing import wilder_means
from services.backtest.core.kernel import Numbers, frozen, kernel


def true_ranges(columns: Columns) -> Numbers:
    """Return the true ranges of (high, low, close); the first, without a close before, is NaN."""
    high, low, close = columns
    out = np.full(len(close), np.nan)
    before = close[:-1]
    far = np.maximum(np.abs(high[1:] - before), np.abs(low[1:] - before))
    out[1:] = np.maximum(high[1:] - low[1:], far)
    return out


def average_ranges(columns: Columns, period: int) -> Numbers:
    """Return Wilder's means of the true ranges of (high, low, close), from place `period` on."""
    out = np.full(len(columns[0]), np.nan)
    out[1:] = wilder_means(true_ranges(columns)[1:], period)
    return out


@kernel
def directions(high: Numbers, low: Numbers, ranges: Numbers, period: int, outs: Numbers) -> None:
    """Set outs[0], [1] and [2] to +DI, -DI and ADX, seeded as TA-Lib does.

    The first sums are those of period - 1 bars, the first ADX is the mean of the first period DX.
    """
    up_sum, down_sum, range_sum, index = 0.0, 0.0, 0.0, 0.0
    for row in range(1, len(high)):
        if row >= period:
            up_sum -= up_sum / period
            down_sum -= down_sum / period
            range_sum -= range_sum / period
        up, down = high[row] - high[row - 1], low[row - 1] - low[row]
        if up > 0.0 and up > down:
            up_sum += up
        if down > 0.0 and down > up:
            down_sum += down
        range_sum += ranges[row]
        if row < period:
            continue
        plus = 100.0 * (up_sum / range_sum) if range_sum > 0.0 else 0.0
        minus = 100.0 * (down_sum / range_sum) if range_sum > 0.0 else 0.0
        both = plus + minus
        outs[0, row], outs[1, row] = plus, minus
        if row < 2 * period:
            index += 100.0 * (abs(plus - minus) / both) if both > 0.0 else 0.0
            if row == 2 * period - 1:
                index /= period
        elif both > 0.0:
            index = (index * (period - 1) + 100.0 * (abs(plus - minus) / both)) / period
        if row >= 2 * period - 1:
            outs[2, row] = index


def _directional(columns: Columns, statics: Statics) -> Columns:
    high, low, _ = columns
    outs = np.full((3, len(high)), np.nan)
    directions(high, low, frozen(true_ranges(columns)), whole(statics), outs)
    return outs[0], outs[1], outs[2]


def _lookback(statics: Statics) -> int:
    return RECURSIVE_LOOKBACK * whole(statics)


_HIGH_LOW_CLOSE: Final = ("high", "low", "close")

RANGES: Final[tuple[Operation, ...]] = (
    *windowed(
        Output(
            "true_range",
            "True range: the largest of high - low and the distances of high and low from the "
            "close before. Wilder 1978, TA-Lib.",
        ),
        columns=_HIGH_LOW_CLOSE,
        lookback=lambda _: 1,
        lookback_text="1",
        compute=lambda columns, _: (true_ranges(columns),),
    ),
    *recursive(
        Output("atr", "Average true range: rma of true_range. Wilder 1978, TA-Lib.", whole),
        columns=_HIGH_LOW_CLOSE,
        statics=(bars(),),
        lookback=_lookback,
        lookback_text="4 * period",
        compute=lambda columns, statics: (average_ranges(columns, whole(statics)),),
    ),
    *recursive(
        Output(
            "plus_di",
            "Positive directional indicator, 0 to 100: smoothed upward movement in hundredths of "
            "the smoothed true range. Wilder 1978, TA-Lib.",
            whole,
        ),
        Output(
            "minus_di",
            "Negative directional indicator, 0 to 100: smoothed downward movement in hundredths "
            "of the smoothed true range. Wilder 1978, TA-Lib.",
            whole,
        ),
        Output(
            "adx",
            "Average directional index, 0 to 100: Wilder's mean of 100 x |plus_di - minus_di| / "
            "(plus_di + minus_di). Wilder 1978, TA-Lib.",
            lambda statics: 2 * whole(statics) - 1,
        ),
        columns=_HIGH_LOW_CLOSE,
        statics=(bars(minimum=2),),
        lookback=_lookback,
        lookback_text="4 * period",
        compute=_directional,
    ),
)
