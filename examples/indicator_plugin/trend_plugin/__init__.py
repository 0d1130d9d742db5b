"""How straight a price moves, and a position that turns with the channel's breaks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from services.backtest.core.plugins import bars, indicator, position_function

Numbers = npt.NDArray[np.float64]


@njit(nogil=True, error_model="numpy")
def efficiency(values: Numbers, period: int) -> Numbers:
    """Return the distance gone over the way walked, 0 to 1; 0 where nothing moved."""
    out = np.full(len(values), np.nan)
    for bar in range(period, len(values)):
        way = 0.0
        for place in range(bar - period + 1, bar + 1):
            way += abs(values[place] - values[place - 1])
        out[bar] = abs(values[bar] - values[bar - period]) / way if way > 0.0 else 0.0
    return out


@njit(nogil=True, error_model="numpy")
def channel_position(high: Numbers, low: Numbers, close: Numbers, period: int) -> Numbers:
    """Return 1 from a close above the last highs on, -1 from one below the last lows on."""
    out = np.zeros(len(close))
    for bar in range(period, len(close)):
        highest = high[bar - period]
        lowest = low[bar - period]
        for place in range(bar - period + 1, bar):
            highest = max(highest, high[place])
            lowest = min(lowest, low[place])
        if close[bar] > highest:
            out[bar] = 1.0
        elif close[bar] < lowest:
            out[bar] = -1.0
        else:
            out[bar] = out[bar - 1]
    return out


PLUGINS = (
    indicator(
        "efficiency_ratio",
        "Efficiency ratio: the distance between the last value and the one period bars before, "
        "over the sum of all moves between; 1 is a straight line. Kaufman 1995.",
        kernel=efficiency,
        series=("series",),
        parameters=(bars("period", "Bars of the way.", 10),),
        lookback=lambda period: period,
        lookback_text="period",
    ),
    position_function(
        "channel_reversal",
        "Long from a close above the highest high of the period's bars before, short from one "
        "below their lowest low; always in the market after the first break.",
        kernel=channel_position,
        columns=("high", "low", "close"),
        parameters=(bars("period", "Bars of the channel.", 20),),
        # The position follows from the last break, however long ago: this is how far is looked.
        lookback=lambda period: 10 * period,
        lookback_text="10 * period",
        undefined=lambda period: period,
    ),
)
