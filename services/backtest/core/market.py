"""What the engine and the metrics need to know of a frame's window, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Integers, frozen
from services.backtest.core.terms import Bars
from services.common.intervals import DAY_MS, Interval


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """The window of a frame.

    Attributes:
        bars: Its bars, read-only.
        midnights: For each UTC midnight from the first open to the last close, the bar whose close
            tells the equity then: the last one that closed at or before it; -1 before any did, when
            equity is the initial capital.
        days: Length of the window in days, from the first open to the last close.
        bars_per_year: Bars in a year of 365 days.
    """

    bars: Bars
    midnights: Integers
    days: float
    bars_per_year: float


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
    if not len(opens):
        return Market(bars, np.empty(0, np.int64), 0.0, frame.interval.bars_per_year)
    first_day = -(-int(opens[0]) // DAY_MS)
    last_day = int(closes[-1]) // DAY_MS
    midnights_ms = np.arange(first_day, last_day + 1, dtype=np.int64) * DAY_MS
    return Market(
        bars=bars,
        midnights=frozen(np.searchsorted(closes, midnights_ms, side="right") - 1),
        days=int(closes[-1] - opens[0]) / DAY_MS,
        bars_per_year=frame.interval.bars_per_year,
    )


def _close_times_ms(opens_ms: Integers, interval: Interval) -> Integers:
    if interval is not Interval.MONTH_1:
        return opens_ms + interval.length_ms
    months = opens_ms.astype("datetime64[ms]").astype("datetime64[M]") + 1
    return months.astype("datetime64[ms]").astype(np.int64)
