"""What the engine and the metrics need to know of a frame's window, worked out once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.frame import Detail, Frame, Funding
from services.backtest.core.kernel import Bytes, Integers, Numbers, frozen
from services.common.intervals import DAY_MS, Interval

_OPENING_MS: Final = 1_000
"""Settlements that late after a bar's open still count as at the open."""


class Bars(NamedTuple):
    """The bars of a window, shape (bars,): prices, and whether each follows the one before.

    Highs and lows include the open.
    """

    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    follows: Bytes


class Span(NamedTuple):
    """The time a window covers.

    Attributes:
        midnights: For each UTC midnight from the first open to the last close, the bar whose close
            tells the equity then: the last one that closed at or before it; -1 before any did, when
            equity is the initial capital.
        days: Length of the window in days, from the first open to the last close.
        bars_per_year: Bars in a year of 365 days.
    """

    midnights: Integers
    days: float
    bars_per_year: float


class Marks(NamedTuple):
    """The prices on which liquidation is watched, shape (bars,).

    Attributes:
        open: First mark prices; the bars' own where there is no series of its own.
        high: Highest ones, the open included.
        low: Lowest ones, the open included.
        separate: Whether they are a series of their own.
    """

    open: Numbers
    high: Numbers
    low: Numbers
    separate: bool


class Charges(NamedTuple):
    """Funding per unit held long; empty arrays where there is none.

    Attributes:
        at_open: Paid at each bar's open by what was carried in, quote currency, shape (bars,).
        inside: Paid after the fills at each bar's open, shape (bars,).
        following: For each bar the first bar from it on with either, `bars` where none follows,
            shape (bars + 1,).
    """

    at_open: Numbers
    inside: Numbers
    following: Integers


class Ranges(NamedTuple):
    """The shorter candles inside each bar; empty arrays where there are none.

    Attributes:
        first: Rows first[bar] to first[bar + 1], half-open, lie in the bar; shape (bars + 1,).
        high: Highest prices, one per row.
        low: Lowest prices.
    """

    first: Integers
    high: Numbers
    low: Numbers


class Market(NamedTuple):
    """The window of a frame, read-only: all that does not differ between parameter sets."""

    bars: Bars
    span: Span
    marks: Marks
    charges: Charges
    ranges: Ranges


def market_of(frame: Frame) -> Market:
    """Return the market of a frame; one without bars has no days."""
    candles, start = frame.candles, frame.window_start
    opens = candles.open_time_ms[start:]
    closes = _close_times_ms(opens, frame.interval)
    follows = np.ones(len(opens), np.uint8)
    follows[1:] = opens[1:] == closes[:-1]
    first, highs, lows = (column[start:] for column in (candles.open, candles.high, candles.low))
    bars = Bars(
        open=frozen(first),
        high=_reaching(highs, first, np.maximum),
        low=_reaching(lows, first, np.minimum),
        close=frozen(candles.close[start:]),
        follows=frozen(follows),
    )
    marks = _marks(frame, bars)
    return Market(
        bars,
        _span(opens, closes, frame.interval.bars_per_year),
        marks,
        _charges(frame.funding, opens, closes, marks.open),
        _ranges(frame.detail, opens, closes),
    )


def _reaching(extremes: Numbers, opens: Numbers, choose: np.ufunc) -> Numbers:
    """Return extremes that include the opens: the array itself where they do already."""
    reached = choose(extremes, opens)
    return frozen(extremes if np.array_equal(reached, extremes) else reached)


def _span(opens: Integers, closes: Integers, bars_per_year: float) -> Span:
    if not len(opens):
        return Span(frozen(np.empty(0, np.int64)), 0.0, bars_per_year)
    first_day = -(-int(opens[0]) // DAY_MS)
    last_day = int(closes[-1]) // DAY_MS
    midnights_ms = np.arange(first_day, last_day + 1, dtype=np.int64) * DAY_MS
    midnights = np.searchsorted(closes, midnights_ms, side="right") - 1
    return Span(frozen(midnights), int(closes[-1] - opens[0]) / DAY_MS, bars_per_year)


def _marks(frame: Frame, bars: Bars) -> Marks:
    if frame.mark is None:
        return Marks(bars.open, bars.high, bars.low, separate=False)
    first = frame.mark.open
    return Marks(
        frozen(first),
        _reaching(frame.mark.high, first, np.maximum),
        _reaching(frame.mark.low, first, np.minimum),
        separate=True,
    )


def _charges(
    funding: Funding | None, opens: Integers, closes: Integers, mark_opens: Numbers
) -> Charges:
    """Rates of one bar are summed; a settlement between bars counts at the next open."""
    bars = len(opens)
    if funding is None or not bars:
        empty = frozen(np.empty(0))
        return Charges(empty, empty, frozen(np.empty(0, np.int64)))
    inside_window = (funding.time_ms >= opens[0]) & (funding.time_ms < closes[-1])
    times, rates = funding.time_ms[inside_window], funding.rate_ratio[inside_window]
    holding = np.searchsorted(opens, times, side="right") - 1
    between = times >= closes[holding]
    late = ~between & (times - opens[holding] > _OPENING_MS)
    at_open, inside = np.zeros(bars), np.zeros(bars)
    np.add.at(at_open, (holding + between)[~late], rates[~late])
    np.add.at(inside, holding[late], rates[late])
    charged = np.flatnonzero((at_open != 0.0) | (inside != 0.0))
    places = np.searchsorted(charged, np.arange(bars + 1))
    return Charges(
        frozen(mark_opens * at_open),
        frozen(mark_opens * inside),
        frozen(np.append(charged, bars)[places]),
    )


def _ranges(detail: Detail | None, opens: Integers, closes: Integers) -> Ranges:
    if detail is None or not len(opens):
        empty = frozen(np.empty(0))
        return Ranges(frozen(np.empty(0, np.int64)), empty, empty)
    candles = detail.candles
    kept = slice(*np.searchsorted(candles.open_time_ms, [opens[0], closes[-1]]).tolist())
    times = candles.open_time_ms[kept]
    holding = np.searchsorted(opens, times, side="right") - 1
    belongs = times < closes[holding]
    first = np.searchsorted(holding[belongs], np.arange(len(opens) + 1))
    highs, lows = candles.high[kept][belongs], candles.low[kept][belongs]
    return Ranges(frozen(first), frozen(highs), frozen(lows))


def _close_times_ms(opens_ms: Integers, interval: Interval) -> Integers:
    if interval is not Interval.MONTH_1:
        return opens_ms + interval.length_ms
    months = opens_ms.astype("datetime64[ms]").astype("datetime64[M]") + np.timedelta64(1, "M")
    return months.astype("datetime64[ms]").astype(np.int64)
