"""How a series moves: against bars before, relative strength, MACD, distance from its mean."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.indicators.extremes import delayed
from services.backtest.core.indicators.families import (
    RECURSIVE_LOOKBACK,
    Output,
    bars,
    recursive,
    whole,
    windowed,
)
from services.backtest.core.indicators.operation import Columns, Operation, Statics
from services.backtest.core.indicators.ranks import channel_indices
from services.backtest.core.indicators.smoothing import seed, smoothed
from services.backtest.core.kernel import Numbers, frozen, kernel


@kernel
def relative_strengths(values: Numbers, period: int, out: Numbers) -> None:
    """Set out to the RSI from place `period` on.

    The first averages are plain means of the first `period` changes.
    """
    gains = 0.0
    losses = 0.0
    for row in range(1, len(values)):
        change = values[row] - values[row - 1]
        if row > period:
            gains *= period - 1
            losses *= period - 1
        gains += max(change, 0.0)
        losses -= min(change, 0.0)
        if row >= period:
            gains /= period
            losses /= period
            moved = gains + losses
            out[row] = 100.0 * (gains / moved) if moved > 0.0 else 50.0


@kernel
def macd_lines(
    values: Numbers, periods: tuple[int, int], seeds: tuple[float, float], first: int, out: Numbers
) -> None:
    """Set out to the fast less the slow exponential mean from place `first` on.

    As in TA-Lib both begin there, each with the mean of its own values up to there, its seed.
    """
    fast, slow = seeds
    for row in range(first, len(values)):
        if row > first:
            fast = smoothed(fast, values[row], periods[0])
            slow = smoothed(slow, values[row], periods[1])
        out[row] = fast - slow


@kernel
def signal_lines(line: Numbers, period: int, first: int, out: Numbers) -> None:
    """Set out to the exponential means of the line from place `first` of it on."""
    defined = first + period - 1
    value = 0.0
    for row in range(first, len(line)):
        if row <= defined:
            value += line[row]
        if row == defined:
            value /= period
        elif row > defined:
            value = smoothed(value, line[row], period)
        if row >= defined:
            out[row] = value


def _rsi(columns: Columns, statics: Statics) -> Columns:
    out = np.full(len(columns[0]), np.nan)
    relative_strengths(columns[0], whole(statics), out)
    return (out,)


def _macd(columns: Columns, statics: Statics) -> Columns:
    values = columns[0]
    fast, slow, signal = (whole(statics, place) for place in range(3))
    line, signals = np.full(len(values), np.nan), np.full(len(values), np.nan)
    first = max(fast, slow) - 1
    if first < len(values):
        seeds = seed(values, fast, first), seed(values, slow, first)
        macd_lines(values, (fast, slow), seeds, first, line)
        signal_lines(frozen(line), signal, first, signals)
    return line, signals, line - signals


def _macd_lookback(statics: Statics) -> int:
    return RECURSIVE_LOOKBACK * (max(whole(statics), whole(statics, 1)) + whole(statics, 2))


def _line_undefined(statics: Statics) -> int:
    return max(whole(statics), whole(statics, 1)) - 1


def _signal_undefined(statics: Statics) -> int:
    return _line_undefined(statics) + whole(statics, 2) - 1


def _roc(columns: Columns, statics: Statics) -> Columns:
    before = delayed(columns[0], whole(statics))
    out = (columns[0] / before - 1.0) * 100.0
    out[before == 0.0] = 0.0
    return (out,)


def _cci(columns: Columns, statics: Statics) -> Columns:
    high, low, close = columns
    return (channel_indices((high + low + close) / 3.0, whole(statics)),)


MOMENTUM: Final[tuple[Operation, ...]] = (
    *recursive(
        Output(
            "rsi",
            "Relative strength index, 0 to 100: 100 x average gain / (average gain + average "
            "loss), averages after Wilder; 50 without movement. Wilder 1978, TA-Lib.",
            whole,
        ),
        series=("series",),
        statics=(bars(minimum=2),),
        lookback=lambda statics: RECURSIVE_LOOKBACK * whole(statics),
        lookback_text="4 * period",
        compute=_rsi,
    ),
    *recursive(
        Output(
            "macd_line",
            "MACD line: the ema of fast bars less that of slow bars, both beginning at the same "
            "bar. The signal's period counts only for the lookback, so that line and signal begin "
            "together. Appel, TA-Lib.",
            _line_undefined,
        ),
        Output(
            "macd_signal", "MACD signal: the ema of macd_line. Appel, TA-Lib.", _signal_undefined
        ),
        Output("macd_histogram", "macd_line less macd_signal. Appel, TA-Lib.", _signal_undefined),
        series=("series",),
        statics=(bars("fast"), bars("slow"), bars("signal")),
        lookback=_macd_lookback,
        lookback_text="4 * (max(fast, slow) + signal)",
        compute=_macd,
    ),
    *windowed(
        Output(
            "roc",
            "Rate of change in percent: 100 x (value / value of period bars before - 1); 0 where "
            "that was 0. TA-Lib.",
        ),
        series=("series",),
        statics=(bars(),),
        lookback=whole,
        lookback_text="period",
        compute=_roc,
    ),
    *windowed(
        Output("change", "Value less the value of period bars before. TA-Lib MOM."),
        series=("series",),
        statics=(bars(),),
        lookback=whole,
        lookback_text="period",
        compute=lambda columns, statics: (columns[0] - delayed(columns[0], whole(statics)),),
    ),
    *windowed(
        Output("shift", "The value of `bars` bars before."),
        series=("series",),
        statics=(bars("bars", minimum=0),),
        lookback=whole,
        lookback_text="bars",
        compute=lambda columns, statics: (delayed(columns[0], whole(statics)),),
    ),
    *windowed(
        Output(
            "cci",
            "Commodity channel index: distance of (high + low + close) / 3 from its mean over "
            "period bars, in 0.015 mean absolute distances; 0 where all are equal. Lambert 1980, "
            "TA-Lib.",
        ),
        columns=("high", "low", "close"),
        statics=(bars(minimum=2),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=_cci,
    ),
)
