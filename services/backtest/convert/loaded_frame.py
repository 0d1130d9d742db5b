"""The data a request got."""

from __future__ import annotations

from dataclasses import dataclass

from services.backtest.convert.series import NO_SERIES, SeriesChoices
from services.backtest.convert.snapshots import SnapshotChoice
from services.backtest.core.frame import Frame


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
