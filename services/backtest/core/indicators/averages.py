"""Moving averages."""

from __future__ import annotations

from math import isqrt
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
from services.backtest.core.indicators.sliding import weighted_means, window_means
from services.backtest.core.indicators.smoothing import exponential_means, wilder_means
from services.backtest.core.kernel import Numbers


def _repeated(values: Numbers, period: int, times: int) -> Columns:
    """Return exponential means, those of these, and so on, each seeded by its input's first."""
    levels = [exponential_means(values, period)]
    for level in range(1, times):
        begin = level * (period - 1)
        out = np.full(len(values), np.nan)
        out[begin:] = exponential_means(levels[-1][begin:], period)
        levels.append(out)
    return tuple(levels)


def _dema(columns: Columns, statics: Statics) -> Columns:
    once, twice = _repeated(columns[0], whole(statics), 2)
    return (2.0 * once - twice,)


def _tema(columns: Columns, statics: Statics) -> Columns:
    once, twice, thrice = _repeated(columns[0], whole(statics), 3)
    return (3.0 * once - 3.0 * twice + thrice,)


def _hma(columns: Columns, statics: Statics) -> Columns:
    period = whole(statics)
    raw = 2.0 * weighted_means(columns[0], period // 2) - weighted_means(columns[0], period)
    out = np.full(len(raw), np.nan)
    out[period - 1 :] = weighted_means(raw[period - 1 :], isqrt(period))
    return (out,)


AVERAGES: Final[tuple[Operation, ...]] = (
    *windowed(
        Output("sma", "Simple moving average: the mean of the last period values, exact. TA-Lib."),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (window_means(columns[0], whole(statics)),),
    ),
    *recursive(
        Output(
            "ema",
            "Exponential moving average: moves by 2 / (period + 1) of the distance to each value, "
            "from the mean of the first period values on. TA-Lib.",
            lambda statics: whole(statics) - 1,
        ),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: RECURSIVE_LOOKBACK * whole(statics),
        lookback_text="4 * period",
        compute=lambda columns, statics: (exponential_means(columns[0], whole(statics)),),
    ),
    *windowed(
        Output(
            "wma",
            "Weighted moving average: weights from 1 for the oldest of the last period values to "
            "period for the newest. TA-Lib.",
        ),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (weighted_means(columns[0], whole(statics)),),
    ),
    *recursive(
        Output(
            "rma",
            "Wilder's moving average: moves by 1 / period of the distance to each value, from the "
            "mean of the first period values on. Wilder 1978.",
            lambda statics: whole(statics) - 1,
        ),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: RECURSIVE_LOOKBACK * whole(statics),
        lookback_text="4 * period",
        compute=lambda columns, statics: (wilder_means(columns[0], whole(statics)),),
    ),
    *recursive(
        Output(
            "dema",
            "Double exponential moving average: 2 ema - ema of ema. Mulloy 1994, TA-Lib.",
            lambda statics: 2 * (whole(statics) - 1),
        ),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: 2 * RECURSIVE_LOOKBACK * whole(statics),
        lookback_text="8 * period",
        compute=_dema,
    ),
    *recursive(
        Output(
            "tema",
            "Triple exponential moving average: 3 ema - 3 ema of ema + ema of ema of ema. "
            "Mulloy 1994, TA-Lib.",
            lambda statics: 3 * (whole(statics) - 1),
        ),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: 3 * RECURSIVE_LOOKBACK * whole(statics),
        lookback_text="12 * period",
        compute=_tema,
    ),
    *windowed(
        Output(
            "hma",
            "Hull moving average: wma(2 wma(series, period / 2) - wma(series, period), root of "
            "period), both lengths rounded down. Hull 2005.",
        ),
        series=("series",),
        statics=(bars(minimum=2),),
        lookback=lambda statics: whole(statics) + isqrt(whole(statics)) - 2,
        lookback_text="period + floor(sqrt(period)) - 2",
        compute=_hma,
    ),
)
