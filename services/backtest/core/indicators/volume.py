"""What volume tells: on-balance volume, money flow, the price it was traded at."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.indicators.families import Output, bars, recursive, whole, windowed
from services.backtest.core.indicators.operation import Columns, Operation, Statics
from services.backtest.core.indicators.sliding import window_sums
from services.backtest.core.kernel import Numbers, kernel


@kernel
def balance_volumes(close: Numbers, volume: Numbers, out: Numbers) -> None:
    """Set out to the on-balance volumes from the first bar's volume on."""
    total = 0.0
    for row in range(len(close)):
        if row == 0 or close[row] > close[row - 1]:
            total += volume[row]
        elif close[row] < close[row - 1]:
            total -= volume[row]
        out[row] = total


def _obv(columns: Columns, _: Statics) -> Columns:
    out = np.empty(len(columns[0]))
    balance_volumes(columns[0], columns[1], out)
    return (out,)


def _mfi(columns: Columns, statics: Statics) -> Columns:
    high, low, close, volume = columns
    period = whole(statics)
    typical = (high + low + close) / 3.0
    flows = (typical * volume)[1:]
    risen, fallen = typical[1:] > typical[:-1], typical[1:] < typical[:-1]
    inwards = window_sums(np.where(risen, flows, 0.0), period)
    moved = inwards + window_sums(np.where(fallen, flows, 0.0), period)
    out = np.full(len(close), np.nan)
    out[1:] = 100.0 * (inwards / moved)
    out[1:][moved == 0.0] = 50.0
    return (out,)


def _vwap(columns: Columns, statics: Statics) -> Columns:
    high, low, close, volume = columns
    period = whole(statics)
    traded = window_sums(volume, period)
    out = window_sums((high + low + close) / 3.0 * volume, period)
    out /= traded
    out[traded <= 0.0] = np.nan
    return (out,)


VOLUME: Final[tuple[Operation, ...]] = (
    *recursive(
        Output(
            "obv",
            "On-balance volume: adds the volume where close rises and takes it away where it "
            "falls. Counts from the bar it starts at, which is the first one needed: only its "
            "differences mean something. Granville 1963, TA-Lib.",
        ),
        columns=("close", "volume"),
        lookback=lambda _: 0,
        lookback_text="0",
        compute=_obv,
    ),
    *windowed(
        Output(
            "mfi",
            "Money flow index, 0 to 100: share of (high + low + close) / 3 x volume that flowed at "
            "a rise of (high + low + close) / 3, over period bars; 50 where nothing flowed. Quong "
            "and Soudack 1989, TA-Lib, which gives 0 where less than 1 flowed.",
        ),
        columns=("high", "low", "close", "volume"),
        statics=(bars(),),
        lookback=whole,
        lookback_text="period",
        compute=_mfi,
    ),
    *windowed(
        Output(
            "vwap",
            "Volume-weighted average price of the last period bars: sum of (high + low + close) / "
            "3 x volume, over the sum of volume; undefined where nothing was traded.",
        ),
        columns=("high", "low", "close", "volume"),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=_vwap,
    ),
)
