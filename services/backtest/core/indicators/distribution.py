"""How the values of a window are distributed: sums, deviations, medians, slopes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.backtest.core.indicators.families import Output, bars, whole, windowed
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.indicators.ranks import medians
from services.backtest.core.indicators.sliding import deviations, slopes, window_sums

_DEVIATION, _ZSCORE = windowed(
    Output(
        "stdev",
        "Population standard deviation of the last period values; exactly 0 where they are "
        "equal. TA-Lib.",
    ),
    Output(
        "zscore",
        "Distance of the value from the mean of the last period values in their population "
        "standard deviations; undefined where they are equal.",
    ),
    series=("series",),
    statics=(bars(),),
    lookback=lambda statics: whole(statics) - 1,
    lookback_text="period - 1",
    compute=lambda columns, statics: deviations(columns[0], whole(statics)),
)

DISTRIBUTION: Final[tuple[Operation, ...]] = (
    *windowed(
        Output("sum", "Sum of the last period values, correctly rounded. TA-Lib."),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (window_sums(columns[0], whole(statics)),),
    ),
    _DEVIATION,
    # The deviation of a single value is always 0.
    replace(_ZSCORE, statics=(bars(minimum=2),)),
    *windowed(
        Output(
            "linreg_slope",
            "Slope per bar of the least-squares line through the last period values. TA-Lib "
            "LINEARREG_SLOPE.",
        ),
        series=("series",),
        statics=(bars(minimum=2),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (slopes(columns[0], whole(statics)),),
    ),
    *windowed(
        Output(
            "median",
            "Median of the last period values; the mean of the two middle ones where their number "
            "is even.",
        ),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (medians(columns[0], whole(statics)),),
    ),
)
