"""What the data service measures: counts its parts keep anyway, read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.data.core.reading import FrameReader


class DataMetrics(Collector):
    """The frames served, and the requests to the exchange."""

    def __init__(self, reader: FrameReader, outcomes: Callable[[], Mapping[str, int]]) -> None:
        """Read a reader; `outcomes` tells the requests to the exchange by how they ended."""
        self._reader = reader
        self._outcomes = outcomes

    def collect(self) -> Iterator[Metric]:
        """Yield the values of now; called by the thread that serves metrics."""
        tally = self._reader.tally
        frames = CounterMetricFamily(
            "assay_data_frames", "Frames served, by where they came from.", labels=("source",)
        )
        for source, count in (
            ("memory", tally.memory),
            ("redis", tally.shared),
            ("store", tally.store),
        ):
            frames.add_metric((source,), count)
        yield frames
        yield GaugeMetricFamily(
            "assay_data_frame_cache_bytes", "Memory of the frames held.", self._reader.held_bytes
        )
        requests = CounterMetricFamily(
            "assay_data_exchange_requests",
            "Requests to the exchange, by how they ended.",
            labels=("outcome",),
        )
        for outcome, count in list(self._outcomes().items()):
            requests.add_metric((outcome,), count)
        yield requests
