"""The Sharpe ratio of every moving-average crossover of a grid, on one market."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import strategy_pb2
from assay.market.v1 import candles_pb2

from benchmarks.parts import datasets
from benchmarks.parts.kernel import Kernel, frame_of
from benchmarks.parts.processes import service
from benchmarks.parts.reference_grid import BARS, INTERVAL, Request, crossovers
from services.optimizer.core.spec.space import Categories, IntRange, Parameter, Space
from services.optimizer.core.trial import Point

FAST: Final = IntRange(5, 59)
SLOW: Final = IntRange(61, 240)
AVERAGES: Final = Categories(("sma", "ema"))
SPACE: Final = Space(
    (
        Parameter("fast_period", FAST),
        Parameter("slow_period", SLOW),
        Parameter("average", AVERAGES),
    )
)
"""No constraint is needed, so that Optuna's own sampler searches the same space."""

METRIC: Final = "sharpe_ratio"
_LOOKBACK: Final = SLOW.high + 1


@dataclass(frozen=True, eq=False)
class CrossoverTable:
    """An objective that is looked up, larger is better.

    Attributes:
        values: Shape (fast periods, slow periods, averages); the worst value where the metric is
            undefined.
    """

    values: npt.NDArray[np.float64]

    def value(self, point: Point) -> float:
        """Return the objective of a point."""
        fast, slow = int(point["fast_period"]) - FAST.low, int(point["slow_period"]) - SLOW.low
        return float(self.values[fast, slow, AVERAGES.values.index(str(point["average"]))])

    def evenly(self, count: int) -> float:
        """Return the best of an even grid of at most so many points, ends included."""
        per_range = int((count / 2) ** 0.5)
        fast, slow = (
            np.linspace(0, length - 1, per_range).round().astype(int)
            for length in self.values.shape[:2]
        )
        return float(self.values[np.ix_(fast, slow)].max())


def crossover_table(file: Path | None) -> CrossoverTable:
    """Run the whole grid on a made-up market, or on the first year of hourly bars of a file."""
    with tempfile.TemporaryDirectory() as folder, service("data", Path(folder)) as data:
        if file:
            snapshot = datasets.imported(data.address, file, INTERVAL, BARS, _LOOKBACK)
        else:
            snapshot = datasets.synthetic(data.address, INTERVAL, BARS, _LOOKBACK)
        candles = datasets.read_candles(data.address, snapshot)
    kernel = Kernel(
        frame_of(candles, INTERVAL, _LOOKBACK), [_request(snapshot, one) for one in AVERAGES.values]
    )
    shape = (FAST.point_count or 0, SLOW.point_count or 0)
    values = np.stack([one.values[METRIC].reshape(shape) for one in kernel.results], axis=2)
    return CrossoverTable(np.where(np.isnan(values), np.nanmin(values), values))


def _request(snapshot: candles_pb2.CandleSnapshot, average: str) -> Request:
    fast, slow = np.meshgrid(
        np.arange(FAST.low, FAST.high + 1), np.arange(SLOW.low, SLOW.high + 1), indexing="ij"
    )
    request = crossovers(snapshot, fast.ravel(), slow.ravel())
    request.strategy.direction = strategy_pb2.DIRECTION_LONG
    request.fixed_parameters.add(name="average").value.category_value = average
    request.metrics.append(METRIC)
    return request
