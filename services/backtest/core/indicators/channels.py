"""Bands around an average: Bollinger's by deviations, Keltner's by ranges."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.indicators.families import (
    RECURSIVE_LOOKBACK,
    Output,
    bars,
    factor,
    recursive,
    whole,
    windowed,
)
from services.backtest.core.indicators.operation import Columns, Operation, Statics
from services.backtest.core.indicators.ranges import average_ranges
from services.backtest.core.indicators.sliding import deviations, window_means
from services.backtest.core.indicators.smoothing import exponential_means
from services.backtest.core.kernel import Numbers


def _bands(middle: Numbers, spread: Numbers) -> Columns:
    return middle - spread, middle, middle + spread


def _bollinger(columns: Columns, statics: Statics) -> Columns:
    period = whole(statics)
    spread, _ = deviations(columns[0], period)
    return _bands(window_means(columns[0], period), statics[1] * spread)


def _keltner(columns: Columns, statics: Statics) -> Columns:
    middle = exponential_means(columns[2], whole(statics))
    spread = statics[2] * average_ranges(columns, whole(statics, 1))
    # All three begin where both are there.
    middle[np.isnan(spread)] = np.nan
    return _bands(middle, spread)


def _keltner_undefined(statics: Statics) -> int:
    return max(whole(statics) - 1, whole(statics, 1))


CHANNELS: Final[tuple[Operation, ...]] = (
    *windowed(
        Output("bollinger_lower", "bollinger_middle less width population deviations. TA-Lib."),
        Output("bollinger_middle", "Middle Bollinger band: sma(series, period). TA-Lib BBANDS."),
        Output("bollinger_upper", "bollinger_middle plus width population deviations. TA-Lib."),
        series=("series",),
        statics=(bars(), factor("width")),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=_bollinger,
    ),
    *recursive(
        Output(
            "keltner_lower",
            "keltner_middle less width x atr(atr_period). Keltner after Raschke.",
            _keltner_undefined,
        ),
        Output(
            "keltner_middle",
            "Middle of the Keltner channel: ema(close, period). Keltner after Raschke.",
            _keltner_undefined,
        ),
        Output(
            "keltner_upper",
            "keltner_middle plus width x atr(atr_period). Keltner after Raschke.",
            _keltner_undefined,
        ),
        columns=("high", "low", "close"),
        statics=(bars(), bars("atr_period"), factor("width")),
        lookback=lambda statics: RECURSIVE_LOOKBACK * max(whole(statics), whole(statics, 1)),
        lookback_text="4 * max(period, atr_period)",
        compute=_keltner,
    ),
)
