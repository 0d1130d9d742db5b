"""What a worker measures of itself: counts its parts keep anyway, read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.backtest.adapters.frame_cache import FrameCache
from services.backtest.slots import Slots


class WorkerMetrics(Collector):
    """The slots, the work done in them, and the frames held."""

    def __init__(
        self, slots: Slots, cache: FrameCache, finished: Callable[[], tuple[int, int]]
    ) -> None:
        """Read slots and cache; `finished` tells the sets run so far, and the bars of them."""
        self._slots = slots
        self._cache = cache
        self._finished = finished

    def collect(self) -> Iterator[Metric]:
        """Yield the values of now; called by the thread that serves metrics."""
        yield from self._work()
        yield from self._frames()

    def _work(self) -> Iterator[Metric]:
        slots = self._slots
        sets, bars = self._finished()
        yield GaugeMetricFamily(
            "assay_backtest_slots", "Batches that can run at once.", slots.count
        )
        yield GaugeMetricFamily("assay_backtest_busy_slots", "Batches running.", slots.busy)
        yield GaugeMetricFamily(
            "assay_backtest_queued_batches", "Batches waiting for a slot.", slots.queued
        )
        yield CounterMetricFamily("assay_backtest_batches", "Batches that ended.", slots.finished)
        yield CounterMetricFamily("assay_backtest_sets", "Parameter sets run.", sets)
        yield CounterMetricFamily("assay_backtest_bars", "Bars run, over all sets.", bars)
        yield CounterMetricFamily(
            "assay_backtest_kernel_seconds", "Time slots were at work.", slots.worked_seconds
        )

    def _frames(self) -> Iterator[Metric]:
        cache = self._cache
        yield CounterMetricFamily(
            "assay_backtest_frame_cache_hits", "Looks that found a frame.", cache.hits
        )
        yield CounterMetricFamily(
            "assay_backtest_frame_cache_misses", "Looks that found none.", cache.misses
        )
        yield GaugeMetricFamily(
            "assay_backtest_frame_cache_bytes", "Memory of the frames held.", cache.held_bytes
        )
