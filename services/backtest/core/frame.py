"""A window of candles and the history before it: all that a backtest sees."""

from __future__ import annotations

from dataclasses import dataclass

from services.backtest.core.kernel import Integers, Numbers
from services.common.frames import Candles
from services.common.intervals import Interval


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
    """

    candles: Candles
    window_start: int
    interval: Interval
    lookback_wanted: int
    funding: Funding | None = None
    mark: Candles | None = None
    detail: Detail | None = None

    @property
    def bar_count(self) -> int:
        """Bars of the window."""
        return len(self.candles) - self.window_start

    @property
    def begins_dataset(self) -> bool:
        """Whether row 0 is known to be the dataset's first bar."""
        return self.window_start < self.lookback_wanted
