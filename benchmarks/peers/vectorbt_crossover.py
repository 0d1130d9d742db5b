"""The reference grid in vectorbt. Runs in vectorbt's own environment; knows nothing of Assay.

    python vectorbt_crossover.py INPUT.npz OUTPUT.npz

INPUT holds the candles, fast, slow, fee and capital. Signals are decided at a close and filled at
the next open, so vectorbt gets them one bar later with the opens as prices. The timed work is the
grid with vectorbt's own moving averages and crossings, and five metrics. OUTPUT holds returns and
closed trades of the same grid on crossings of exact means.
"""

# The libraries are in the peer's environment only.
# mypy: ignore-errors

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import vectorbt as vbt
from exact_crossings import crossings, ticks_of
from rounds import part_of, take_turns

CHUNK = 50
"""Parameter sets of one call: vectorbt is fastest with few at once."""


def filled_next_bar(signals: np.ndarray) -> np.ndarray:
    """Return signals one bar later."""
    later = np.zeros_like(signals)
    later[1:] = signals[:-1]
    return later


class Grid:
    """The grid on one series of candles."""

    def __init__(self, given: dict[str, np.ndarray]) -> None:
        """Take what the benchmark gave."""
        index = pd.date_range("2024-01-01", periods=len(given["close"]), freq="1h")
        self.open = pd.Series(given["open"], index=index)
        self.close = pd.Series(given["close"], index=index)
        self.fast, self.slow = given["fast"], given["slow"]
        self.fee, self.capital = float(given["fee"]), float(given["capital"])

    def chunks(self) -> list[slice]:
        """Return the sets of each call."""
        return [slice(start, start + CHUNK) for start in range(0, len(self.fast), CHUNK)]

    def simulate(self, entries: np.ndarray, exits: np.ndarray) -> vbt.Portfolio:
        """Return the portfolios of signals of shape (bars, sets)."""
        return vbt.Portfolio.from_signals(
            self.close,
            pd.DataFrame(filled_next_bar(entries), index=self.close.index),
            pd.DataFrame(filled_next_bar(exits), index=self.close.index),
            price=self.open,
            direction="longonly",
            fees=self.fee,
            init_cash=self.capital,
            freq="1h",
        )

    def timed(self, part: int, parts: int) -> None:
        """Run a part of the grid from closes to metrics, whole calls."""
        for chunk in part_of(self.chunks(), part, parts):
            fast = vbt.MA.run(self.close, window=self.fast[chunk].tolist(), short_name="fast")
            slow = vbt.MA.run(self.close, window=self.slow[chunk].tolist(), short_name="slow")
            entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
            portfolio = self.simulate(entries.to_numpy(), exits.to_numpy())
            portfolio.total_return()
            portfolio.sharpe_ratio()
            portfolio.max_drawdown()
            portfolio.trades.count()
            portfolio.trades.win_rate()

    def exact(self) -> dict[str, np.ndarray]:
        """Return what came of the grid on exact crossings."""
        ticks = ticks_of(self.close.to_numpy())
        found = []
        for chunk in self.chunks():
            pairs = zip(self.fast[chunk].tolist(), self.slow[chunk].tolist(), strict=True)
            signals = [crossings(ticks, *pair) for pair in pairs]
            entries, exits = (np.stack(side, 1) for side in zip(*signals, strict=True))
            portfolio = self.simulate(entries, exits)
            trades = portfolio.trades.closed.count().to_numpy()
            found.append((portfolio.total_return().to_numpy(), trades))
        names = ("total_return", "trades")
        return dict(zip(names, map(np.concatenate, zip(*found, strict=True)), strict=True))


def main(source: str, target: str) -> None:
    """Take turns with the benchmark, then write what came out."""
    vbt.settings["returns"]["year_freq"] = "365 days"
    grid = Grid(dict(np.load(source)))
    take_turns(grid.timed, lambda: np.savez(target, **grid.exact()))


if __name__ == "__main__":
    main(*sys.argv[1:])
