"""Highest and lowest values, and what is made of them: channels, positions in a channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from services.backtest.core.indicators.families import LARGEST, Output, bars, whole, windowed
from services.backtest.core.indicators.operation import Columns, Operation, Statics
from services.backtest.core.indicators.sliding import window_means
from services.backtest.core.kernel import Numbers, frozen, kernel


def highest(values: Numbers, period: int) -> Numbers:
    """Return the highest of `period` numbers up to each; NaN where there are fewer."""
    out = np.full(len(values), np.nan)
    find_extremes(frozen(values), 1.0, period, out)
    return out


def lowest(values: Numbers, period: int) -> Numbers:
    """Return the lowest of `period` numbers up to each; NaN where there are fewer."""
    out = np.full(len(values), np.nan)
    find_extremes(frozen(values), -1.0, period, out)
    return out


@kernel
def find_extremes(values: Numbers, sign: float, period: int, out: Numbers) -> None:
    """Set out to the highest (sign 1) or lowest (sign -1) of the `period` numbers up to each.

    A ring of rows with falling numbers holds the candidates.
    """
    room = min(period, len(values)) + 1
    ring = np.empty(room, np.int64)
    head = 0
    count = 0
    for row in range(len(values)):
        while count > 0:
            last = ring[(head + count - 1) % room]
            if sign * values[last] > sign * values[row]:
                break
            count -= 1
        ring[(head + count) % room] = row
        count += 1
        if ring[head] <= row - period:
            head = (head + 1) % room
            count -= 1
        if row >= period - 1:
            out[row] = values[ring[head]]


def _channel(columns: Columns, statics: Statics) -> Columns:
    period = whole(statics)
    lower, upper = lowest(columns[1], period), highest(columns[0], period)
    return lower, (upper + lower) / 2.0, upper


def _positions(columns: Columns, period: int) -> Numbers:
    high, low, close = columns
    upper, lower = highest(high, period), lowest(low, period)
    positions = 100.0 * ((close - lower) / (upper - lower))
    positions[(upper == lower) | (np.abs(positions) > LARGEST)] = 0.0
    return positions


def _smoothed_positions(columns: Columns, statics: Statics) -> Columns:
    """Smooth the positions by a simple mean per static behind the period."""
    values = _positions(columns, whole(statics))
    begin = whole(statics) - 1
    for place in range(1, len(statics)):
        values[begin:] = window_means(values[begin:].copy(), whole(statics, place))
        begin += whole(statics, place) - 1
    return (values,)


def _williams(columns: Columns, statics: Statics) -> Columns:
    high, low, close = columns
    upper, lower = highest(high, whole(statics)), lowest(low, whole(statics))
    out = -100.0 * ((upper - close) / (upper - lower))
    out[upper == lower] = 0.0
    return (out,)


def _span_a(columns: Columns, statics: Statics) -> Columns:
    conversion = _channel(columns, statics[:1])[1]
    base = _channel(columns, statics[1:2])[1]
    return (delayed((conversion + base) / 2.0, whole(statics, 2)),)


def _span_b(columns: Columns, statics: Statics) -> Columns:
    return (delayed(_channel(columns, statics)[1], whole(statics, 1)),)


def delayed(values: Numbers, count: int) -> Numbers:
    """Return the column moved `count` bars towards later ones, NaN before."""
    out = np.full(len(values), np.nan)
    out[count:] = values[: max(0, len(values) - count)]
    return out


_CHANNEL: Final = windowed(
    Output("donchian_lower", "Lowest low of the last period bars, this one included. Donchian."),
    Output("donchian_middle", "Mean of donchian_lower and donchian_upper."),
    Output("donchian_upper", "Highest high of the last period bars, this one included. Donchian."),
    columns=("high", "low"),
    statics=(bars(),),
    lookback=lambda statics: whole(statics) - 1,
    lookback_text="period - 1",
    compute=_channel,
)

EXTREMES: Final[tuple[Operation, ...]] = (
    *_CHANNEL,
    replace(
        _CHANNEL[1],
        name="ichimoku_conversion",
        description="Conversion line: mean of the highest high and the lowest low of the last "
        "period bars, usually 9. Hosoda's Ichimoku.",
    ),
    replace(
        _CHANNEL[1],
        name="ichimoku_base",
        description="Base line: mean of the highest high and the lowest low of the last period "
        "bars, usually 26. Hosoda's Ichimoku.",
    ),
    *windowed(
        Output(
            "ichimoku_span_a",
            "Leading span A as it lies at this bar: the mean of conversion and base line of "
            "displacement bars before, usually 9, 26 and 26. Hosoda's Ichimoku.",
        ),
        columns=("high", "low"),
        statics=(bars("conversion"), bars("base"), bars("displacement", minimum=0)),
        lookback=lambda statics: max(whole(statics), whole(statics, 1)) - 1 + whole(statics, 2),
        lookback_text="max(conversion, base) - 1 + displacement",
        compute=_span_a,
    ),
    *windowed(
        Output(
            "ichimoku_span_b",
            "Leading span B as it lies at this bar: the mean of the highest high and the lowest "
            "low of period bars, displacement bars before, usually 52 and 26. Hosoda's Ichimoku.",
        ),
        columns=("high", "low"),
        statics=(bars(), bars("displacement", minimum=0)),
        lookback=lambda statics: whole(statics) - 1 + whole(statics, 1),
        lookback_text="period - 1 + displacement",
        compute=_span_b,
    ),
    *windowed(
        Output("highest", "Highest of the last period values, this bar's included. TA-Lib MAX."),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (highest(columns[0], whole(statics)),),
    ),
    *windowed(
        Output("lowest", "Lowest of the last period values, this bar's included. TA-Lib MIN."),
        series=("series",),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=lambda columns, statics: (lowest(columns[0], whole(statics)),),
    ),
    *windowed(
        Output(
            "stochastic_k",
            "Slow %K, 0 to 100: simple mean over k_smoothing bars of where close lies between the "
            "lowest low and the highest high of period bars; 0 where these are equal. Lane, TA-Lib "
            "STOCH.",
        ),
        columns=("high", "low", "close"),
        statics=(bars(), bars("k_smoothing")),
        lookback=lambda statics: whole(statics) + whole(statics, 1) - 2,
        lookback_text="period + k_smoothing - 2",
        compute=_smoothed_positions,
    ),
    *windowed(
        Output(
            "stochastic_d",
            "Slow %D, 0 to 100: simple mean over d_smoothing bars of stochastic_k(period, "
            "k_smoothing). Lane, TA-Lib STOCH.",
        ),
        columns=("high", "low", "close"),
        statics=(bars(), bars("k_smoothing"), bars("d_smoothing")),
        lookback=lambda statics: whole(statics) + whole(statics, 1) + whole(statics, 2) - 3,
        lookback_text="period + k_smoothing + d_smoothing - 3",
        compute=_smoothed_positions,
    ),
    *windowed(
        Output(
            "williams_r",
            "Williams %R, -100 to 0: how far close lies below the highest high of period bars, in "
            "hundredths of the range; 0 where there is no range. Williams 1979, TA-Lib.",
        ),
        columns=("high", "low", "close"),
        statics=(bars(),),
        lookback=lambda statics: whole(statics) - 1,
        lookback_text="period - 1",
        compute=_williams,
    ),
)
