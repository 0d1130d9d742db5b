"""Indicators and signals written from their definitions, slowly and plainly, to test the kernels.

Everything is a list over the rows of a whole dataset; None is undefined.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.backtest.core.parameters import Value
from services.common.frames import Candles

Series = list[float | None]


@dataclass(frozen=True)
class Wanted:
    """What a strategy wants at the close of a bar."""

    enter_long: bool = False
    exit_long: bool = False
    enter_short: bool = False
    exit_short: bool = False


def _decimals(price: float) -> int:
    exponent = Decimal(repr(price)).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def mean(prices: Sequence[float], last: int, period: int) -> float:
    """Mean of `period` prices up to `last`; exact when all of them are decimals."""
    window = prices[last + 1 - period : last + 1]
    places = max(_decimals(price) for price in window)
    if places <= 10 and period * max(window) * 10**places < 2**52:
        return float(sum(Fraction(Decimal(repr(price))) for price in window) / period)
    return math.fsum(window) / period


def sma(prices: Sequence[float], period: int, window_start: int) -> Series:
    """Means from the bar before the window on; they need period - 1 bars before it."""
    return [
        mean(prices, row, period) if row >= max(period, window_start) - 1 else None
        for row in range(len(prices))
    ]


def ema(prices: Sequence[float], period: int, start: int, seed: float | None) -> Series:
    """Exponential means, the first at start + period - 1."""
    out: Series = [None] * len(prices)
    value = seed
    for row in range(start + period - 1, len(prices)):
        assert value is not None
        if row > start + period - 1:
            value = (
                prices[row] if period == 1 else (prices[row] - value) * (2 / (period + 1)) + value
            )
        out[row] = value
    return out


def seeded_ema(prices: Sequence[float], period: int, start: int) -> Series:
    """Exponential means of prices, seeded by the mean of the first `period` from `start` on."""
    last = start + period - 1
    if last >= len(prices):
        return [None] * len(prices)
    return ema(prices, period, start, mean(prices, last, period))


def rsi(prices: Sequence[float], period: int, start: int) -> Series:
    """Wilder's relative strength index from the changes after `start` on."""
    out: Series = [None] * len(prices)
    changes = [later - earlier for earlier, later in itertools.pairwise(prices)][start:]
    gains = [max(change, 0.0) for change in changes]
    losses = [max(-change, 0.0) for change in changes]
    if len(changes) < period:
        return out
    gain, loss = _plain_sum(gains[:period]) / period, _plain_sum(losses[:period]) / period
    for place in range(period - 1, len(changes)):
        if place >= period:
            gain = (gain * (period - 1) + gains[place]) / period
            loss = (loss * (period - 1) + losses[place]) / period
        out[start + place + 1] = 100 * (gain / (gain + loss)) if gain + loss > 0 else 50.0
    return out


def _plain_sum(numbers: Sequence[float]) -> float:
    total = 0.0
    for number in numbers:
        total += number
    return total


def macd(
    prices: Sequence[float], periods: tuple[int, int, int], window_start: int
) -> tuple[Series, Series]:
    """MACD line and signal for a crossing in the window."""
    fast, slow, signal = periods
    longest = max(fast, slow)
    line_row = max(0, window_start - 1 - 4 * signal - 4 * longest) + longest - 1
    rows = len(prices)
    line: Series = [None] * rows
    signals: Series = [None] * rows
    if line_row >= rows:
        return line, signals
    fasts = seeded_ema(prices, fast, line_row + 1 - fast)
    slows = seeded_ema(prices, slow, line_row + 1 - slow)
    numbers = [0.0] * rows
    for row in range(line_row, rows):
        one, two = fasts[row], slows[row]
        assert one is not None
        assert two is not None
        line[row] = numbers[row] = one - two
    start = line_row
    if start + signal - 1 < rows:
        seed = _plain_sum(numbers[start : start + signal]) / signal
        signals = ema(numbers, signal, start, seed)
    return line, signals


def _above(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one > other


def crossed_above(one: Series, other: Series, row: int) -> bool:
    """Whether `one` is above `other` and was at or below it at the row before."""
    before, limit = (one[row - 1], other[row - 1]) if row else (None, None)
    was_below = before is not None and limit is not None and before <= limit
    return was_below and _above(one[row], other[row])


def _both_ways(one: Series, other: Series, row: int) -> Wanted:
    up, down = crossed_above(one, other, row), crossed_above(other, one, row)
    return Wanted(enter_long=up, exit_long=down, enter_short=down, exit_short=up)


def signals(
    name: str, values: dict[str, Value], candles: Candles, window_start: int
) -> tuple[list[Wanted], int]:
    """What a strategy wants at each row of the window, and the row of the first decision."""
    inputs = _inputs(name, values, candles, window_start)
    rows = range(window_start, len(candles))
    crossing = name != "donchian_breakout"
    first = next(
        (
            row
            for row in rows
            if all(series[row] is not None for series in inputs)
            and (
                not crossing or not inputs or (row and all(s[row - 1] is not None for s in inputs))
            )
        ),
        len(candles),
    )
    if name == "buy_and_hold":
        return [Wanted(enter_long=row == first, enter_short=row == first) for row in rows], first
    return [_wanted(name, values, inputs, row) for row in rows], first


def _inputs(  # noqa: PLR0911 - a line per strategy
    name: str, values: dict[str, Value], candles: Candles, window_start: int
) -> list[Series]:
    close = candles.close.tolist()
    number = {key: value for key, value in values.items() if isinstance(value, int)}
    if name == "ma_crossover":
        periods = number["fast_period"], number["slow_period"]
        if values["average"] == "sma":
            return [sma(close, period, window_start) for period in periods]
        return [
            seeded_ema(close, period, max(0, window_start - 1 - 4 * period)) for period in periods
        ]
    if name == "rsi_reversion":
        period = number["period"]
        return [rsi(close, period, max(0, window_start - 1 - 4 * period))]
    if name == "macd":
        periods3 = number["fast_period"], number["slow_period"], number["signal_period"]
        return list(macd(close, periods3, window_start))
    if name == "bollinger_reversion":
        return [close, *_bollinger(close, number["period"], float(values["width"]), window_start)]
    if name == "donchian_breakout":
        high, low = candles.high.tolist(), candles.low.tolist()
        entry, leave = number["entry_period"], number["exit_period"]
        return [
            close,
            _before(high, entry, max),
            _before(low, leave, min),
            _before(low, entry, min),
            _before(high, leave, max),
        ]
    return []


def _bollinger(
    close: list[float], period: int, width: float, window_start: int
) -> tuple[Series, Series, Series]:
    middle = sma(close, period, window_start)
    lower: Series = []
    upper: Series = []
    for row, center in enumerate(middle):
        if center is None:
            lower.append(None)
            upper.append(None)
            continue
        window = [Fraction(price) for price in close[row + 1 - period : row + 1]]
        middle_exactly = sum(window) / period
        spread = math.sqrt(sum((price - middle_exactly) ** 2 for price in window) / period)
        lower.append(center - width * spread)
        upper.append(center + width * spread)
    return lower, middle, upper


def _before(prices: list[float], period: int, extreme: object) -> Series:
    assert callable(extreme)
    return [
        extreme(prices[row - period : row]) if row >= period else None for row in range(len(prices))
    ]


def _wanted(name: str, values: dict[str, Value], inputs: list[Series], row: int) -> Wanted:
    if name in {"ma_crossover", "macd"}:
        return _both_ways(inputs[0], inputs[1], row)
    if name == "rsi_reversion":
        lower: Series = [float(values["lower"])] * (row + 1)
        upper: Series = [float(values["upper"])] * (row + 1)
        up, down = crossed_above(inputs[0], lower, row), crossed_above(upper, inputs[0], row)
        return Wanted(enter_long=up, exit_long=down, enter_short=down, exit_short=up)
    if name == "bollinger_reversion":
        close, lower_band, middle, upper_band = inputs
        return Wanted(
            enter_long=crossed_above(lower_band, close, row),
            exit_long=crossed_above(close, middle, row),
            enter_short=crossed_above(close, upper_band, row),
            exit_short=crossed_above(middle, close, row),
        )
    close, high_entry, low_exit, low_entry, high_exit = inputs
    return Wanted(
        enter_long=_above(close[row], high_entry[row]),
        exit_long=_above(low_exit[row], close[row]),
        enter_short=_above(low_entry[row], close[row]),
        exit_short=_above(close[row], high_exit[row]),
    )
