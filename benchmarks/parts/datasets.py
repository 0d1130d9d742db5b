"""Datasets for benchmarks: made-up ones and files, stored by a data service and pinned."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
from assay.data.v1 import data_service_pb2, data_service_pb2_grpc, dataset_pb2
from assay.market.v1 import candles_pb2

from services.common.frames import Candles
from services.common.frames_codec import from_proto, timestamp_from_ms
from services.common.intervals import Interval

_START_MS: Final = 1_704_067_200_000
_PIECE: Final = 1024 * 1024
_SECONDS: Final = 600.0


def synthetic(
    data_address: str, interval: Interval, bars: int, lookback: int
) -> candles_pb2.CandleSnapshot:
    """Store a made-up market of so many bars; return all of it, pinned."""
    name = f"datasets/synthetic.bench.{interval.value}"
    window = _window(_START_MS, interval, bars)
    with grpc.insecure_channel(data_address) as channel:
        stub = data_service_pb2_grpc.DataServiceStub(channel)
        request = data_service_pb2.SyncDatasetRequest(name=name, window=window)
        list(stub.SyncDataset(request, timeout=_SECONDS))
    return _pinned(data_address, name, window, lookback)


def imported(
    data_address: str, file: Path, interval: Interval, bars: int, lookback: int
) -> candles_pb2.CandleSnapshot:
    """Store a file, CSV or CSV.gz; return the time of its first so many bars, pinned."""
    name = f"datasets/bench.file.{interval.value}"
    with grpc.insecure_channel(data_address) as channel:
        stub = data_service_pb2_grpc.DataServiceStub(channel)
        stub.ImportCandles(_pieces(name, file), timeout=_SECONDS)
        dataset = stub.GetDataset(data_service_pb2.GetDatasetRequest(name=name)).dataset
    window = _window(dataset.first_open_time.ToMilliseconds(), interval, bars)
    return _pinned(data_address, name, window, lookback)


def read_candles(data_address: str, snapshot: candles_pb2.CandleSnapshot) -> Candles:
    """Return the candles of a snapshot."""
    request = data_service_pb2.ReadCandlesRequest(snapshot=snapshot)
    with grpc.insecure_channel(data_address) as channel:
        stub = data_service_pb2_grpc.DataServiceStub(channel)
        answers = stub.ReadCandles(request, timeout=_SECONDS)
        parts = [from_proto(answer.candles) for answer in answers if answer.HasField("candles")]
        return Candles.concatenate(parts)


def _pinned(
    data_address: str, name: str, window: candles_pb2.TimeWindow, lookback: int
) -> candles_pb2.CandleSnapshot:
    # There is nothing before the first bar, but saying so takes asking for it.
    snapshot = candles_pb2.CandleSnapshot(dataset=name, window=window, lookback_bar_count=lookback)
    request = data_service_pb2.ReadCandlesRequest(snapshot=snapshot, row_limit=1)
    with grpc.insecure_channel(data_address) as channel:
        stub = data_service_pb2_grpc.DataServiceStub(channel)
        return next(iter(stub.ReadCandles(request, timeout=_SECONDS))).header.snapshot


def _window(start_ms: int, interval: Interval, bars: int) -> candles_pb2.TimeWindow:
    return candles_pb2.TimeWindow(
        start_time=timestamp_from_ms(start_ms),
        end_time=timestamp_from_ms(start_ms + bars * interval.length_ms),
    )


def _pieces(name: str, file: Path) -> Iterator[data_service_pb2.ImportCandlesRequest]:
    header = dataset_pb2.ImportHeader(
        name=name,
        format=dataset_pb2.ImportHeader.FORMAT_CSV,
        accept=[dataset_pb2.ImportHeader.ACCEPTANCE_GAPS],
    )
    yield data_service_pb2.ImportCandlesRequest(header=header)
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rb") as content:
        while piece := content.read(_PIECE):
            yield data_service_pb2.ImportCandlesRequest(file_bytes=piece)
