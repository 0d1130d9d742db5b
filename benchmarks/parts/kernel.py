"""The core's batches in this process, without gRPC, on frames that are warm."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.parts import reference_grid
from benchmarks.parts.reference_grid import Request
from services.backtest.convert.jobs import batch_job
from services.backtest.core import batch
from services.backtest.core.frame import Frame, Funding
from services.common.frames import Candles
from services.common.intervals import Interval

_SPREAD = 31
"""Runs whose median stands for a round."""


class Kernel:
    """Batches on one frame."""

    def __init__(self, frame: Frame, requests: Sequence[Request]) -> None:
        """Run them once, so that rows, tables and machine code are there."""
        self._frame = frame
        self._jobs = [batch_job(request) for request in requests]
        self.results = self.run()

    def run(self) -> list[batch.BatchResult]:
        """Run all batches; failures end the benchmark."""
        wanted = threading.Event().is_set
        results = [
            batch.evaluate(
                self._frame,
                job.strategy,
                job.direction,
                job.sets,
                job.execution,
                job.metrics,
                wanted,
            )
            for job in self._jobs
        ]
        for result in results:
            if result.failures:
                raise SystemExit(f"sets failed, the first with: {result.failures[0].message}")
        return results

    def round(self, repeats: int = _SPREAD) -> float:
        """Return the median CPU seconds of some runs."""
        return statistics.median(cpu_seconds(self.run) for _ in range(repeats))

    def turn(self, repeats: int) -> float:
        """Return the mean CPU seconds of some runs, after one that finds memory again."""
        self.run()
        return statistics.fmean(cpu_seconds(self.run) for _ in range(repeats))

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over all sets."""
        return float(np.nanmean(np.concatenate([one.values[metric] for one in self.results])))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds this process needs for some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def frame_of(
    candles: Candles, interval: Interval, lookback: int, funding: Funding | None = None
) -> Frame:
    """Return all candles as a window; its first bar is the dataset's."""
    return Frame(candles, 0, interval, lookback, funding)


def funding_of(candles: Candles) -> Funding:
    """Return a constant rate every eight hours of a year of hourly candles."""
    times = candles.open_time_ms[:: reference_grid.FUNDING_HOURS]
    return Funding(times, np.full(len(times), reference_grid.FUNDING_RATIO))
