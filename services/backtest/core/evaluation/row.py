"""A number per bar."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from services.backtest.core.evaluation.reading import Place, Reading, reading_bytes, reading_of
from services.backtest.core.indicators.means import Means
from services.backtest.core.kernel import Numbers, frozen, kernel


@kernel
def _whole(values: Numbers, begin: int) -> bool:
    holes = 0
    for place in range(begin, len(values)):
        holes += not abs(values[place]) < np.inf
    return holes == 0


class Row:
    """Values of an expression from a bar of its timeline to the end.

    Attributes:
        number: Its identity among the rows of a frame.
        start: Bar of the first value.
        defined: Bar from which on the expression has values, but for holes inside.
        nbytes: Bytes it keeps in memory, those of its reading included.
    """

    def __init__(self, number: int, start: int, defined: int, values: Numbers, nbytes: int) -> None:
        """Take the values, float64, read-only, shape (bars of the timeline - start,).

        They keep `nbytes` in memory.
        """
        self.number = number
        self.start = start
        self.defined = defined
        self.nbytes = nbytes + reading_bytes(len(values))
        self._values = values
        self._reading: Reading | None = None

    @property
    def values(self) -> Numbers:
        """The values; NaN where undefined."""
        return self._values

    @cached_property
    def whole(self) -> bool:
        """Whether every value from `defined` on is a number."""
        return _whole(self.values, max(0, self.defined - self.start))

    def fill(self, first: int, out: Numbers) -> None:
        """Set out[j] to the value at bar first + j; the bars must exist, or lie before the row."""
        missing = min(max(0, self.start - first), len(out))
        out[:missing] = np.nan
        begin = first + missing - self.start
        out[missing:] = self.values[begin : begin + len(out) - missing]

    def reading(self, window_start: int, bar_count: int) -> Reading | None:
        """Return how a kernel reads the row over the window of its frame.

        None where its values do not lie in memory one after the other, or are not all numbers.
        """
        if self._reading is None and self.whole:
            self._reading = self._read(window_start, bar_count)
        return self._reading

    def _read(self, window_start: int, bar_count: int) -> Reading | None:
        if not self._values.flags.c_contiguous:
            return None
        before = window_start - self.start
        return reading_of(self._values, Place(before, 0, -before, 1.0), bar_count)


class MeanRow(Row):
    """Means of a candle column, computed where and when they are read."""

    def __init__(
        self, number: int, start: int, defined: int, length: int, means: Means, period: int
    ) -> None:
        """Take the means' source; `length` is that of the timeline.

        Before `defined` there is no mean, though there may be prices.
        """
        self.number = number
        self.start = start
        self.defined = defined
        self.nbytes = reading_bytes(length - start)
        self.whole = True
        self._reading = None
        self._length = length
        self._means = means
        self._period = period

    @property
    def values(self) -> Numbers:
        """The values; NaN where undefined."""
        out = np.empty(self._length - self.start)
        self.fill(self.start, out)
        return frozen(out)

    @property
    def period(self) -> int:
        """Bars of a mean."""
        return self._period

    @cached_property
    def source(self) -> tuple[Numbers, float] | None:
        """Sums and the divisor that give the means, see `Means.source`."""
        return self._means.source(self._period, self.start)

    def fill(self, first: int, out: Numbers) -> None:
        """Set out[j] to the mean at bar first + j; `first` may be -1."""
        self._means.fill(self._period, first, out, anchor=self.start)
        out[: max(0, self.defined - first)] = np.nan

    def _read(self, window_start: int, bar_count: int) -> Reading | None:
        if self.source is None:
            return None
        sums, divisor = self.source
        place = Place(window_start, self.period, self.defined - window_start, divisor)
        return reading_of(sums, place, bar_count)
