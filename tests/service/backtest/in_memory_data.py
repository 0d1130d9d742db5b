"""A data service for tests of workers: what the contract reads, over arrays in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import data_service_pb2_grpc
from assay.market.v1.candles_pb2 import CandleSnapshot, FundingColumns

from services.common.errors import AssayError, Code, Violation, fields_invalid, unknown
from services.common.frames import Candles
from services.common.frames_codec import chunks, ms_from_timestamp, timestamp_from_ms
from services.common.intervals import Interval
from services.common.server import Application

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z."""


def random_market(bars: int, seed: int = 7, start_ms: int = START_MS) -> Candles:
    """Return hourly candles of a seeded random walk with prices of one decimal."""
    random = np.random.default_rng(seed)
    close = np.round(30_000 * np.exp(np.cumsum(random.normal(0, 0.01, bars))), 1)
    opens = np.concatenate([[30_000.0], close[:-1]])
    spread = np.round(np.abs(random.normal(0, 60, (2, bars))), 1)
    high = np.round(np.maximum(opens, close) + spread[0], 1)
    low = np.round(np.minimum(opens, close) - spread[1], 1)
    times = start_ms + HOUR_MS * np.arange(bars)
    return Candles.from_columns([times, opens, high, low, close, random.uniform(1, 9, bars)])


def minutes_of(candles: Candles, step_ms: int, interval_ms: int = HOUR_MS) -> Candles:
    """Return shorter candles that make up the given ones: open, then low, then high, then close."""
    count = interval_ms // step_ms
    times = (candles.open_time_ms[:, None] + step_ms * np.arange(count)).ravel()
    path = np.repeat(candles.close[:, None], count, axis=1)
    path[:, 0], path[:, 1], path[:, 2] = candles.open, candles.low, candles.high
    prices = path.ravel()
    return Candles.from_columns([times, prices, prices, prices, prices, np.ones(len(prices))])


def without_rows(candles: Candles, start: int, stop: int) -> Candles:
    """Return candles with a gap where rows start to stop were."""
    rows = (candles.slice(0, start), candles.slice(stop, len(candles)))
    return Candles.concatenate(rows)


@dataclass
class InMemoryData(data_service_pb2_grpc.DataServiceServicer):
    """Serves datasets; remembers what it was asked.

    Attributes:
        datasets: Candles by dataset name, which ends in their interval. Names that begin with
            "datasets/synthetic." are made up.
        funding: Times in ms and rates by dataset name.
        requests: Every request for candles so far.
        funding_requests: Every request for funding rates so far.
        asked: Set by the first request.
        gate: Requests for rows wait until it is set.
        garbled: Whether rows are sent that differ from their digest.
    """

    datasets: dict[str, Candles] = field(default_factory=dict)
    funding: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    requests: list[pb.ReadCandlesRequest] = field(default_factory=list)
    funding_requests: list[pb.ReadFundingRequest] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    garbled: bool = False

    def __post_init__(self) -> None:
        """Let requests through at first."""
        self.gate.set()

    def application(self) -> Application:
        """Return the service as a process would run it."""

        def register(server: grpc.aio.Server) -> None:
            data_service_pb2_grpc.add_DataServiceServicer_to_server(self, server)

        async def nothing() -> None:
            return None

        return Application(
            "data", "assay.data.v1.DataService", "data.assay", register, nothing, nothing
        )

    async def ReadCandles(  # noqa: N802 - the contract's name
        self, request: pb.ReadCandlesRequest, context: Any
    ) -> AsyncIterator[pb.ReadCandlesResponse]:
        """Send the header and the rows of a frame."""
        self.requests.append(request)
        self.asked.set()
        if request.row_limit == 0:
            await self.gate.wait()
        header, frame = self._frame(request.snapshot)
        yield pb.ReadCandlesResponse(header=header)
        if self.garbled:
            frame = Candles.from_columns([*frame.columns()[:5], frame.volume + 1])
        rows = frame.slice(0, request.row_limit or len(frame))
        for columns in chunks(rows, rows=1_000):
            yield pb.ReadCandlesResponse(candles=columns)

    async def ReadFunding(  # noqa: N802 - the contract's name
        self, request: pb.ReadFundingRequest, context: Any
    ) -> AsyncIterator[pb.ReadFundingResponse]:
        """Send the settlements of a window, a few at a time."""
        self.funding_requests.append(request)
        if request.name in self.datasets:
            raise fields_invalid([Violation("name", "holds candles; read them with ReadCandles")])
        if request.name not in self.funding:
            raise unknown("dataset", request.name, self.funding, "DATASET_UNKNOWN")
        times, rates = self.funding[request.name]
        window = request.window
        first, last = map(ms_from_timestamp, (window.start_time, window.end_time))
        rows = [row for row in zip(times, rates, strict=True) if first <= row[0] < last]
        for start in range(0, max(len(rows), 1), 10):
            part = FundingColumns()
            for time_ms, rate in rows[start : start + 10]:
                part.funding_time_ms.append(time_ms)
                part.funding_rate_ratio.append(rate)
            yield pb.ReadFundingResponse(funding=part)

    def _frame(self, snapshot: CandleSnapshot) -> tuple[pb.ReadCandlesHeader, Candles]:
        name = snapshot.dataset
        if name in self.funding:
            told = "holds funding rates; read them with ReadFunding"
            raise fields_invalid([Violation("snapshot.dataset", told)])
        if name not in self.datasets:
            raise unknown("dataset", name, self.datasets, "DATASET_UNKNOWN")
        interval = Interval(name.rpartition(".")[2])
        candles = self.datasets[name]
        times = candles.open_time_ms
        window = snapshot.window
        start_ms, end_ms = int(times[0]), interval.next_open_ms(int(times[-1]))
        covered = (start_ms, end_ms)
        if window.HasField("start_time"):
            start_ms = ms_from_timestamp(window.start_time)
        if window.HasField("end_time"):
            end_ms = ms_from_timestamp(window.end_time)
        start, stop = np.searchsorted(times, [start_ms, end_ms]).tolist()
        if start == stop or not covered[0] <= start_ms < end_ms <= covered[1]:
            raise AssayError(
                Code.OUT_OF_RANGE, "WINDOW_OUTSIDE_DATASET", "the window is not covered"
            )
        first = max(0, start - snapshot.lookback_bar_count)
        frame = candles.slice(first, stop)
        digest = frame.content_digest()
        if snapshot.content_digest not in {"", digest}:
            raise AssayError(
                Code.ABORTED,
                "DATASET_CHANGED",
                "the candles have changed",
                metadata={"wanted_digest": snapshot.content_digest, "actual_digest": digest},
            )
        header = pb.ReadCandlesHeader(
            interval=interval.number,  # type: ignore[arg-type]
            row_count=len(frame),
            lookback_row_count=start - first,
            missing_bar_count=_missing(frame, interval),
            synthetic=name.startswith("datasets/synthetic."),
        )
        header.snapshot.CopyFrom(snapshot)
        header.snapshot.content_digest = digest
        header.snapshot.lookback_bar_count = snapshot.lookback_bar_count
        header.snapshot.window.start_time.CopyFrom(timestamp_from_ms(start_ms))
        header.snapshot.window.end_time.CopyFrom(timestamp_from_ms(end_ms))
        return header, frame


def _missing(frame: Candles, interval: Interval) -> int:
    steps = np.diff(frame.open_time_ms) // interval.length_ms
    return int((steps - 1).sum())
