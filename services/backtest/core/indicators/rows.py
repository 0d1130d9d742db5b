"""The indicator rows of one frame, each computed once.

A row is named by its operation and parameters; where it starts follows from its lookback, counted
back from the window's first bar. So a row is the same however much longer the frame is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.core.frame import Frame
from services.backtest.core.indicators.means import Means
from services.backtest.core.indicators.recursive import (
    exponential_means,
    macd_lines,
    relative_strengths,
    signal_lines,
)
from services.backtest.core.indicators.windows import bands, deviations, extremes_before
from services.backtest.core.kernel import Numbers, frozen

RECURSIVE_LOOKBACK: Final = 4
"""A recursive indicator of period n looks back on 4 n bars."""

_MOST_BYTES: Final = 64 * 2**20
"""Rows beyond this are forgotten, least recently used first; to compute them again costs little."""

Key = tuple[str | float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Values from the bar before the window to the window's end.

    Attributes:
        values: float64, shape (bars + 1,), read-only; NaN where undefined.
        defined_row: Row of the frame from which on the indicator has values.
    """

    values: Numbers
    defined_row: int


class Rows:
    """Makes and keeps the rows of one frame; for one thread.

    `above` is the lookback of the operation a recursive row is made for: 1 for a crossing.
    """

    def __init__(self, frame: Frame) -> None:
        """Take a frame that reaches back as far as its rows will, or to its dataset's start."""
        self._first = frame.window_start - 1
        self._candles = frame.candles
        self._prices: Numbers = frozen(frame.candles.close)
        self._kept: OrderedDict[Key, tuple[Row, ...]] = OrderedDict()
        self._bytes = 0
        self._means: Means | None = None

    def close(self) -> Row:
        """Closes."""
        return self._keep(("close",), self._closes)[0]

    def constant(self, value: float) -> Row:
        """One number at every bar."""
        return self._keep(
            ("constant", value), lambda: (self._row(0, lambda out: out.fill(value)),)
        )[0]

    def sma(self, period: int) -> Row:
        """Means of `period` closes, exact."""

        def make() -> tuple[Row]:
            fill = self._exact_means().fill
            return (self._row(period - 1, lambda out: fill(period, self._first, out)),)

        return self._keep(("sma", period), make)[0]

    def ema(self, period: int, above: int) -> Row:
        """Exponential means of closes."""

        def make() -> tuple[Row]:
            start = self._start(RECURSIVE_LOOKBACK * period + above)
            defined = start + period - 1
            seed = self._seed(defined, period)
            return (
                self._row(
                    defined,
                    lambda out: exponential_means(
                        self._prices, period, start, seed, self._first, out
                    ),
                ),
            )

        return self._keep(("ema", period, above), make)[0]

    def rsi(self, period: int, above: int) -> Row:
        """Relative strength of closes."""

        def make() -> tuple[Row]:
            start = self._start(RECURSIVE_LOOKBACK * period + above)
            return (
                self._row(
                    start + period,
                    lambda out: relative_strengths(self._prices, period, start, self._first, out),
                ),
            )

        return self._keep(("rsi", period, above), make)[0]

    def macd(self, fast: int, slow: int, signal: int, above: int) -> tuple[Row, Row]:
        """MACD line and signal of closes."""

        def make() -> tuple[Row, Row]:
            longest = max(fast, slow)
            defined = self._start(RECURSIVE_LOOKBACK * (signal + longest) + above) + longest - 1
            start = max(defined, self._start(RECURSIVE_LOOKBACK * signal + above))
            begin = min(self._first, start)
            line = np.empty(len(self._prices) - begin)
            seeds = (self._seed(defined, fast), self._seed(defined, slow))
            macd_lines(self._prices, (fast, slow), seeds, defined, begin, line)
            place = self._first - begin
            signals = self._row(
                start + signal - 1,
                lambda out: signal_lines(frozen(line), signal, start - begin, place, out),
            )
            return Row(frozen(line[place:]), defined), signals

        line, signals = self._keep(("macd", fast, slow, signal, above), make)
        return line, signals

    def bollinger(self, period: int, width: float) -> tuple[Row, Row, Row]:
        """Lower band, middle and upper band of closes."""
        middle = self.sma(period)
        spread = self._keep(("deviation", period), lambda: self._spread(period, middle))[0]

        def band(factor: float) -> Row:
            return self._row(
                period - 1, lambda out: bands(middle.values, spread.values, factor, out)
            )

        lower, upper = self._keep(("bands", period, width), lambda: (band(-width), band(width)))
        return lower, middle, upper

    def highest_before(self, period: int) -> Row:
        """Highest high of the `period` bars before each bar."""
        return self._extremes("highest_before", self._candles.high, 1.0, period)

    def lowest_before(self, period: int) -> Row:
        """Lowest low of the `period` bars before each bar."""
        return self._extremes("lowest_before", self._candles.low, -1.0, period)

    def _keep(self, key: Key, make: Callable[[], tuple[Row, ...]]) -> tuple[Row, ...]:
        rows = self._kept.get(key)
        if rows is not None:
            self._kept.move_to_end(key)
            return rows
        rows = self._kept[key] = make()
        self._bytes += sum(row.values.nbytes for row in rows)
        while self._bytes > _MOST_BYTES and len(self._kept) > 1:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= sum(row.values.nbytes for row in forgotten)
        return rows

    def _row(self, defined_row: int, fill: Callable[[Numbers], None]) -> Row:
        out = np.empty(len(self._prices) - self._first)
        fill(out)
        return Row(frozen(out), defined_row)

    def _start(self, lookback: int) -> int:
        """Return the row a lookback reaches from the window's first bar, or the dataset's first."""
        return max(0, self._first + 1 - lookback)

    def _exact_means(self) -> Means:
        if self._means is None:
            self._means = Means(self._prices)
        return self._means

    def _seed(self, last: int, period: int) -> float:
        """Return the mean of the `period` closes that end at row `last`; 0 where there are none."""
        if last >= len(self._prices):
            return 0.0
        return self._exact_means().mean(last, period)

    def _closes(self) -> tuple[Row]:
        if self._first >= 0:
            return (Row(frozen(self._prices[self._first :]), 0),)
        return (Row(frozen(np.concatenate(([np.nan], self._prices))), 0),)

    def _spread(self, period: int, middle: Row) -> tuple[Row]:
        return (
            self._row(
                period - 1,
                lambda out: deviations(self._prices, middle.values, period, self._first, out),
            ),
        )

    def _extremes(self, name: str, prices: Numbers, sign: float, period: int) -> Row:
        column = frozen(prices)
        return self._keep(
            (name, period),
            lambda: (
                self._row(
                    period, lambda out: extremes_before(column, sign, period, self._first, out)
                ),
            ),
        )[0]
