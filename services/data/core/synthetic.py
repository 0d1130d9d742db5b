"""Made-up markets: geometric random walks that switch between regimes. Pure.

A market is a function of its fields, its interval and the open time of its first bar: the same
three give the same bars on every machine, and a longer market begins with the bars of a shorter
one. So only + - * /, sqrt, rounding and integer draws are used, in a fixed order: no exp, no log,
no normal deviates from a library, whose last bits depend on the processor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from services.common.errors import Violation
from services.common.frames import Candles, Numbers, Times
from services.common.intervals import MINUTE_MS, YEAR_MS, Interval
from services.data.core.dataset import SyntheticMarket
from services.data.core.grid import bars_in, first_open_from
from services.data.core.ports import Span

Draws = npt.NDArray[np.uint64]

MOST_BARS = 5_000_000
CHUNK_BARS = 65_536

_STEPS = 8
"""Price moves inside one bar, from which its high and low come."""

_LANE_DEVIATION = math.sqrt((65_536.0**2 - 1.0) / 12.0) * 2.0
"""Standard deviation of the sum of four independent 16-bit integers."""

_DRIFTS = np.array([1.2, -1.2, 0.0, 0.0])
"""Of the regimes up, down, range and storm: the move of a mean regime in standard deviations."""

_DEVIATIONS = np.array([0.8, 1.0, 0.4, math.sqrt(2.2)])
"""Volatility of each regime against the average; the mean of their squares is 1."""

_QUOTE_PER_MINUTE = 500_000.0
"""Average turnover of the made-up market."""


def field_problems(market: SyntheticMarket, path: str) -> list[Violation]:
    """Return every field of the market outside its bounds."""
    bounds = (
        ("start_price_quote", market.start_price_quote, 0.01, 1_000_000),
        ("annual_volatility_ratio", market.annual_volatility_ratio, 0.01, 5),
        ("mean_regime_bar_count", market.mean_regime_bar_count, 2, 100_000),
    )
    return [
        Violation(f"{path}.{name}", f"{value} is not within {least:,} to {most:,}")
        for name, value, least, most in bounds
        if not least <= value <= most
    ]


def window_problems(interval: Interval, window: Span, path: str) -> list[Violation]:
    """Return what is wrong with the window of a made-up market: no bar, or too many."""
    bars = bars_in(window, interval)
    if bars < 1:
        return [Violation(path, f"holds no whole {interval.value} bar")]
    if bars > MOST_BARS:
        return [Violation(path, f"holds {bars:,} bars; at most {MOST_BARS:,} are made")]
    return []


def candles(market: SyntheticMarket, interval: Interval, span: Span) -> Iterator[Candles]:
    """Yield the bars of a market that begins at the span's first open, in chunks, oldest first."""
    opens = open_times(interval, span)
    # Two streams, so that the number of draws of one can never shift the other.
    moves = np.random.PCG64([market.seed % 2**64, 1])
    regimes = np.random.PCG64([market.seed % 2**64, 2])
    regime: int | None = None
    price = market.start_price_quote
    for start in range(0, len(opens), CHUNK_BARS):
        chunk = opens[start : start + CHUNK_BARS]
        in_force = _regimes(regimes.random_raw(len(chunk)), market, regime)
        draws = moves.random_raw(len(chunk) * (_STEPS + 1)).reshape(len(chunk), _STEPS + 1)
        path = _path(draws[:, :_STEPS], in_force, market, interval, price)
        regime, price = int(in_force[-1]), float(path[-1])
        yield _bars(chunk, path, draws[:, _STEPS], market, interval)


def open_times(interval: Interval, span: Span) -> Times:
    """Return every open time of the grid in a span."""
    first = first_open_from(span.start_ms, interval)
    if interval is not Interval.MONTH_1:
        return np.arange(first, span.end_ms, interval.length_ms, dtype=np.int64)
    months = []
    for _ in range(bars_in(span, interval)):
        months.append(first)
        first = interval.next_open_ms(first)
    return np.array(months, dtype=np.int64)


def price_decimals(start_price_quote: float) -> int:
    """Return the decimals prices are rounded to: about seven digits at the start, 2 to 8."""
    decimals = 8
    while decimals > 2 and start_price_quote * 10.0**decimals >= 1e7:
        decimals -= 1
    return decimals


def _bar_deviation(market: SyntheticMarket, interval: Interval) -> float:
    return market.annual_volatility_ratio / math.sqrt(interval.bars_per_year)


def _regimes(draws: Draws, market: SyntheticMarket, before: int | None) -> Times:
    """Return the regime of each bar; it changes with probability 1 / mean length at every bar.

    The market's very first bar (`before` None) draws its regime in any case.
    """
    threshold = 2**62 // market.mean_regime_bar_count
    changes = (draws >> np.uint64(2)) < np.uint64(threshold)
    changes[0] |= before is None
    numbers = np.arange(1, len(draws) + 1)
    last_change = np.maximum.accumulate(np.where(changes, numbers, 0))
    drawn = np.concatenate([[before or 0], (draws & np.uint64(3)).astype(np.int64)])
    return np.asarray(drawn[last_change], dtype=np.int64)


def _path(
    draws: Draws, regimes: Times, market: SyntheticMarket, interval: Interval, price: float
) -> Numbers:
    """Return the price before the first move and after each, shape (bars * steps + 1,)."""
    lanes = [(draws >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
    summed = (lanes[0] + lanes[1] + lanes[2] + lanes[3]).astype(np.float64)
    normal = (summed - 131_070.0) / _LANE_DEVIATION
    deviation = _bar_deviation(market, interval)
    drift = deviation / math.sqrt(market.mean_regime_bar_count) / _STEPS
    step = deviation / math.sqrt(_STEPS)
    moves = normal * (_DEVIATIONS[regimes] * step)[:, None] + (_DRIFTS[regimes] * drift)[:, None]
    # 1 + x + x^2 / 2 follows exp(x) for small x and stays above 1/2 for every x.
    growth = 1.0 + moves + moves * moves * 0.5
    with np.errstate(over="ignore", under="ignore"):
        return np.multiply.accumulate(np.concatenate([[price], growth.ravel()]))


def _bars(
    opens: Times, path: Numbers, draws: Draws, market: SyntheticMarket, interval: Interval
) -> Candles:
    """Cut a path into bars and round them to the market's tick."""
    scale = 10.0 ** price_decimals(market.start_price_quote)
    ticks = np.clip(np.rint(path * scale), 1.0, 2.0**53)
    inner = ticks[1:].reshape(len(opens), _STEPS)
    first, last = ticks[:-1:_STEPS], inner[:, -1]
    high, low = first, first
    for step in range(_STEPS):
        high, low = np.maximum(high, inner[:, step]), np.minimum(low, inner[:, step])
    breadth = (high - low) / (first * _bar_deviation(market, interval))
    luck = (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53
    minutes = YEAR_MS / interval.bars_per_year / MINUTE_MS
    base = _QUOTE_PER_MINUTE * minutes / market.start_price_quote
    volume = np.maximum(np.rint(base * (0.5 + luck) * (0.1 + breadth * 0.6) * 1000.0), 1.0) / 1000.0
    prices = (column / scale for column in (first, high, low, last))
    return Candles.from_columns([opens, *prices, volume])
