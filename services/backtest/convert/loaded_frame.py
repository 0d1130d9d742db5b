"""The data a request got."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.backtest.convert.series import NO_SERIES, SeriesChoices
from services.backtest.convert.snapshots import SnapshotChoice
from services.backtest.core.frame import Frame
from services.backtest.core.stress.bar_permutation import permuted


@dataclass(frozen=True, slots=True)
class LoadedFrame:
    """A frame with what the data service says about it.

    Attributes:
        frame: The candles and the series beside them, ready for the core.
        snapshot: Which candles they are, every field set.
        missing_bar_count: Bars missing inside the frame.
        synthetic: Whether candles of it are made up.
        series: Which series stand beside the candles, every field set.
    """

    frame: Frame
    snapshot: SnapshotChoice
    missing_bar_count: int
    synthetic: bool
    series: SeriesChoices = NO_SERIES

    def permuted(self, seed: int) -> LoadedFrame:
        """Return the market of the same bars in a random order.

        The snapshot and the series stay those asked for. Blocks where there are millions of bars.
        """
        return replace(self, frame=permuted(self.frame, seed))

    def first_bars(self, count: int | None) -> LoadedFrame:
        """Return what a window of the first `count` bars would be; all of them with None.

        The snapshot and the series stay those asked for.
        """
        if count is None or count >= self.frame.bar_count:
            return self
        frame = self.frame.first_bars(count)
        times = frame.candles.open_time_ms
        between = frame.interval.bars_between(int(times[0]), int(times[-1]))
        return replace(self, frame=frame, missing_bar_count=between + 1 - len(times))
