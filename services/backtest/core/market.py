"""What the engine and the metrics need to know of a frame's window, worked out once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Integers, frozen
from services.backtest.core.terms import Bars, Span
from services.common.intervals import DAY_MS, Interval


class Market(NamedTuple):
    """The window of a frame: its bars and the time they span, read-only."""

    bars: Bars
    span: Span


def market_of(frame: Frame) -> Market:
    """Return the market of a frame; one without bars has no days."""
    candles, start = frame.candles, frame.window_start
    opens = candles.open_time_ms[start:]
    closes = _close_times_ms(opens, frame.interval)
    follows = np.ones(len(opens), np.uint8)
    follows[1:] = opens[1:] == closes[:-1]
    bars = Bars(
        open=frozen(candles.open[start:]),
        high=frozen(candles.high[start:]),
        low=frozen(candles.low[start:]),
        close=frozen(candles.close[start:]),
        follows=frozen(follows),
    )
    bars_per_year = frame.interval.bars_per_year
    if not len(opens):
        return Market(bars, Span(frozen(np.empty(0, np.int64)), 0.0, bars_per_year))
    first_day = -(-int(opens[0]) // DAY_MS)
    last_day = int(closes[-1]) // DAY_MS
    midnights_ms = np.arange(first_day, last_day + 1, dtype=np.int64) * DAY_MS
    midnights = np.searchsorted(closes, midnights_ms, side="right") - 1
    days = int(closes[-1] - opens[0]) / DAY_MS
    return Market(bars, Span(frozen(midnights), days, bars_per_year))


def _close_times_ms(opens_ms: Integers, interval: Interval) -> Integers:
    if interval is not Interval.MONTH_1:
        return opens_ms + interval.length_ms
    months = opens_ms.astype("datetime64[ms]").astype("datetime64[M]") + np.timedelta64(1, "M")
    return months.astype("datetime64[ms]").astype(np.int64)
