"""Trend lines that turn: Supertrend, and the smoothed bars of Heikin-Ashi."""

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
from services.backtest.core.kernel import Numbers, frozen, kernel


@kernel
def trend_lines(
    high: Numbers,
    low: Numbers,
    close: Numbers,
    ranges: Numbers,
    first: int,
    width: float,
    outs: Numbers,
) -> None:
    """Set outs[0] to the Supertrend line and outs[1] to its direction from place `first` on."""
    upper, lower, direction = 0.0, 0.0, -1.0
    for row in range(first, len(close)):
        middle = (high[row] + low[row]) / 2.0
        upper_now = middle + width * ranges[row]
        lower_now = middle - width * ranges[row]
        if row > first:
            if upper_now >= upper and close[row - 1] <= upper:
                upper_now = upper
            if lower_now <= lower and close[row - 1] >= lower:
                lower_now = lower
            if direction < 0.0:
                direction = 1.0 if close[row] > upper_now else -1.0
            else:
                direction = -1.0 if close[row] < lower_now else 1.0
        upper, lower = upper_now, lower_now
        outs[0, row] = lower if direction > 0.0 else upper
        outs[1, row] = direction


@kernel
def smoothed_opens(opened: Numbers, close: Numbers, averages: Numbers, out: Numbers) -> None:
    """Set out to the Heikin-Ashi opens; `averages` are its closes."""
    for row in range(len(out)):
        if row == 0:
            out[row] = (opened[row] + close[row]) / 2.0
        else:
            out[row] = (out[row - 1] + averages[row - 1]) / 2.0


def _supertrend(columns: Columns, statics: Statics) -> Columns:
    period = whole(statics)
    outs = np.full((2, len(columns[0])), np.nan)
    high, low, close = columns
    ranges = frozen(average_ranges(columns, period))
    trend_lines(high, low, close, ranges, period, statics[1], outs)
    return outs[0], outs[1]


def _average_bar(columns: Columns) -> Numbers:
    opened, high, low, close = columns
    averages: Numbers = (opened + high + low + close) / 4.0
    return averages


def _heikin_ashi(columns: Columns, _: Statics) -> Columns:
    opened, high, low, close = columns
    averages = _average_bar(columns)
    opens = np.empty(len(close))
    smoothed_opens(opened, close, frozen(averages), opens)
    upper = np.maximum(high, np.maximum(opens, averages))
    return opens, upper, np.minimum(low, np.minimum(opens, averages))


_HEIKIN_ASHI_LOOKBACK: Final = 64
"""A difference at its start has halved 64 times then."""

TRENDS: Final[tuple[Operation, ...]] = (
    *recursive(
        Output(
            "supertrend",
            "Supertrend line: the lower band in an upward, the upper one in a downward trend; "
            "bands at (high + low) / 2 -+ factor x atr(period), drawn tighter only until close has "
            "passed them. Begins downward. Seban, as in TradingView.",
            whole,
        ),
        Output(
            "supertrend_direction",
            "1 while supertrend is upward, -1 while it is downward; turns where close passes it.",
            whole,
        ),
        columns=("high", "low", "close"),
        statics=(bars(), factor("factor")),
        lookback=lambda statics: RECURSIVE_LOOKBACK * whole(statics),
        lookback_text="4 * period",
        compute=_supertrend,
    ),
    *recursive(
        Output(
            "heikin_ashi_open",
            "Open of the Heikin-Ashi bar: mean of open and close of the one before; of those of "
            "the candle at the bar it starts at, 64 before.",
            lambda _: 0,
        ),
        Output(
            "heikin_ashi_high",
            "High of the Heikin-Ashi bar: highest of high, heikin_ashi_open and heikin_ashi_close.",
            lambda _: 0,
        ),
        Output(
            "heikin_ashi_low",
            "Low of the Heikin-Ashi bar: lowest of low, heikin_ashi_open and heikin_ashi_close.",
            lambda _: 0,
        ),
        columns=("open", "high", "low", "close"),
        lookback=lambda _: _HEIKIN_ASHI_LOOKBACK,
        lookback_text="64",
        compute=_heikin_ashi,
    ),
    *windowed(
        Output(
            "heikin_ashi_close", "Close of the Heikin-Ashi bar: (open + high + low + close) / 4."
        ),
        columns=("open", "high", "low", "close"),
        lookback=lambda _: 0,
        lookback_text="0",
        compute=lambda columns, _: (_average_bar(columns),),
    ),
)
