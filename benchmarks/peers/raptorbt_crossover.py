"""The reference grid in raptorbt. Runs in raptorbt's own environment; knows nothing of Assay.

    python raptorbt_crossover.py INPUT.npz OUTPUT.npz

INPUT holds the candles, fast, slow, fee and capital. The timed work is the grid with raptorbt's own
moving averages, crossings found with numpy, fills at the next open, and five metrics read of each
set. OUTPUT holds returns of the same grid on crossings of exact means.
"""

# The libraries are in the peer's environment only.
# mypy: ignore-errors

from __future__ import annotations

import sys

import numpy as np
import raptorbt
from exact_crossings import crossings, ticks_of
from rounds import part_of, take_turns

CHUNK = 250
"""Parameter sets of one call: it is as fast as with all, and takes a tenth of the memory."""


def own_crossings(fast: np.ndarray, slow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where one row crosses above and below another; nothing crosses where one is NaN."""
    above, below = fast > slow, fast <= slow
    up, down = np.zeros(len(fast), bool), np.zeros(len(fast), bool)
    up[1:] = above[1:] & below[:-1]
    down[1:] = below[1:] & above[:-1]
    return up, down


class Grid:
    """The grid on one series of candles."""

    def __init__(self, given: dict[str, np.ndarray]) -> None:
        """Take what the benchmark gave."""
        names = ("open", "high", "low", "close", "volume")
        self.candles = [np.ascontiguousarray(given[name]) for name in names]
        self.close = self.candles[3]
        self.means: dict[int, np.ndarray] = {}
        self.times = np.arange(len(self.close), dtype=np.int64) * 3_600_000_000_000
        self.pairs = list(zip(given["fast"].tolist(), given["slow"].tolist(), strict=True))
        self.config = raptorbt.BacktestConfig(
            initial_capital=float(given["capital"]),
            fees=float(given["fee"]),
            periods_per_year=8760.0,
            fill_timing="next_bar_open",
        )

    def run(self, signals: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, ...]]:
        """Backtest some pairs of signals; return five metrics of each."""
        items = [raptorbt.BatchSingleItem("set", *pair) for pair in signals]
        results = raptorbt.batch_single_backtest(self.times, *self.candles, items, self.config)
        metrics = [result.metrics for _, result in results]
        return [
            (
                one.total_return_pct / 100,
                one.sharpe_ratio,
                one.max_drawdown_pct / 100,
                one.total_trades,
                one.win_rate_pct / 100,
            )
            for one in metrics
        ]

    def timed(self, part: int, parts: int) -> None:
        """Run a part of the grid from closes to metrics; the first one makes the means of all."""
        if part == 0:
            self.means = {
                period: np.asarray(raptorbt.sma(self.close, period)) for period in self.periods
            }
        for start in part_of(list(range(0, len(self.pairs), CHUNK)), part, parts):
            pairs = self.pairs[start : start + CHUNK]
            self.run([own_crossings(self.means[fast], self.means[slow]) for fast, slow in pairs])

    @property
    def periods(self) -> set[int]:
        """All periods of the grid."""
        return {period for pair in self.pairs for period in pair}

    def exact(self) -> np.ndarray:
        """Return the metrics of the grid on exact crossings, shape (sets, 5)."""
        ticks = ticks_of(self.close)
        found = []
        for start in range(0, len(self.pairs), CHUNK):
            pairs = self.pairs[start : start + CHUNK]
            found += self.run([crossings(ticks, *pair) for pair in pairs])
        return np.array(found)


def main(source: str, target: str) -> None:
    """Take turns with the benchmark, then write what came out."""
    grid = Grid(dict(np.load(source)))

    def finish() -> None:
        # Its count of trades includes the one still open, so only returns are told.
        np.savez(target, total_return=grid.exact()[:, 0])

    take_turns(grid.timed, finish)


if __name__ == "__main__":
    main(*sys.argv[1:])
