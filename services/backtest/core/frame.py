"""A window of candles and the history before it: all that a backtest sees."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.frames import Candles
from services.common.intervals import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Candles of a window, preceded by the history that indicators may look back on.

    Attributes:
        candles: Lookback bars, then the window's bars.
        window_start: Row of the window's first bar; the rows before it are lookback.
        interval: Length of a bar.
        lookback_wanted: Lookback bars asked for; with fewer, row 0 is the dataset's first bar.
    """

    candles: Candles
    window_start: int
    interval: Interval
    lookback_wanted: int

    @property
    def bar_count(self) -> int:
        """Bars of the window."""
        return len(self.candles) - self.window_start

    @property
    def begins_dataset(self) -> bool:
        """Whether row 0 is known to be the dataset's first bar."""
        return self.window_start < self.lookback_wanted
