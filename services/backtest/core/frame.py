"""A window of candles and the history before it: all that a backtest sees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from services.backtest.core.kernel import Integers, Numbers
from services.common.frames import Candles
from services.common.intervals import Interval

_MOST_SHORTER: Final = 64
_LEAST_MEMORY: Final = 1 / 16


@dataclass(frozen=True, slots=True, eq=False)
class Funding:
    """Settlements of a perpetual's funding, ordered by time.

    Attributes:
        time_ms: When each was, milliseconds since the epoch, shape (settlements,).
        rate_ratio: Its rate as a fraction of notional; longs pay positive rates.
    """

    time_ms: Integers
    rate_ratio: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """Candles of a shorter interval inside the window.

    Attributes:
        candles: The candles, ordered; bars may be missing.
        interval: Length of one; divides the frame's.
    """

    candles: Candles
    interval: Interval


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Frame:
    """Candles of a window, preceded by the history that indicators may look back on.

    Attributes:
        candles: Lookback bars, then the window's bars.
        window_start: Row of the window's first bar; the rows before it are lookback.
        interval: Length of a bar.
        lookback_wanted: Lookback bars asked for; with fewer, row 0 is the dataset's first bar.
        funding: Settlements from the window's first open to its last close; None: no funding.
        mark: Mark-price candles, one for each bar of the window; None: the candles' own prices.
        detail: Shorter candles inside the window; None: none.
        memory_ratio: Share of a frame's memory that what is worked out of it may take: less than 1
            where it holds the first bars of another's window.
    """

    candles: Candles
    window_start: int
    interval: Interval
    lookback_wanted: int
    funding: Funding | None = None
    mark: Candles | None = None
    detail: Detail | None = None
    memory_ratio: float = 1.0
    _shorter: dict[int, Frame] = field(default_factory=dict, init=False, repr=False)

    @property
    def bar_count(self) -> int:
        """Bars of the window."""
        return len(self.candles) - self.window_start

    @property
    def begins_dataset(self) -> bool:
        """Whether row 0 is known to be the dataset's first bar."""
        return self.window_start < self.lookback_wanted

    def first_bars(self, count: int) -> Frame:
        """Return the frame whose window ends after `count` bars of this one's, itself where all.

        It shares the candles, and is the same object for the same count while that is among those
        used last, so that what is worked out of it stays with it. For one thread.
        """
        if count >= self.bar_count:
            return self
        shorter = self._shorter.pop(count, None) or self._cut(count)
        if len(self._shorter) >= _MOST_SHORTER:
            del self._shorter[next(iter(self._shorter))]
        self._shorter[count] = shorter
        return shorter

    def _cut(self, count: int) -> Frame:
        # Funding and shorter candles stay whole: what lies outside a window is passed over.
        return replace(
            self,
            candles=self.candles.slice(0, self.window_start + count),
            mark=None if self.mark is None else self.mark.slice(0, count),
            memory_ratio=max(_LEAST_MEMORY, self.memory_ratio * count / self.bar_count),
        )
