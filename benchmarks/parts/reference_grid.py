"""The reference work: 2,500 moving-average crossovers over a year of hourly bars."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
from assay.data.v1 import data_service_pb2, data_service_pb2_grpc, dataset_pb2
from assay.market.v1 import candles_pb2

from services.common.frames import Candles
from services.common.frames_codec import from_proto, timestamp_from_ms

BARS: Final = 8_760
LOOKBACK: Final = 216
"""What the slowest average and its crossing need."""
FEE_BPS: Final = 10.0
METRICS: Final = (
    "total_return_ratio",
    "bar_sharpe_ratio",
    "max_drawdown_ratio",
    "trade_count",
    "win_rate_ratio",
)
_START_MS: Final = 1_704_067_200_000
_HOUR_MS: Final = 3_600_000
_PIECE: Final = 1024 * 1024

Periods = npt.NDArray[np.int64]


def periods() -> tuple[Periods, Periods]:
    """Return the fast and the slow period of every set, shape (2500,) each."""
    fast, slow = np.meshgrid(np.arange(5, 55), np.arange(20, 220, 4), indexing="ij")
    return fast.ravel(), slow.ravel()


def make_dataset(data_address: str, file: Path | None) -> candles_pb2.CandleSnapshot:
    """Store a synthetic year, or a file of hourly candles; return its first 8,760 bars, pinned."""
    name = "datasets/bench.file.1h" if file else "datasets/synthetic.bench.1h"
    with grpc.insecure_channel(data_address) as channel:
        stub = data_service_pb2_grpc.DataServiceStub(channel)
        if file:
            stub.ImportCandles(_pieces(name, file))
        else:
            window = _window(_START_MS)
            list(stub.SyncDataset(data_service_pb2.SyncDatasetRequest(name=name, window=window)))
        first = stub.GetDataset(data_service_pb2.GetDatasetRequest(name=name)).dataset
        snapshot = candles_pb2.CandleSnapshot(
            dataset=name, window=_window(first.first_open_time.ToMilliseconds())
        )
        # There is nothing before the first bar, but saying so takes asking for it.
        snapshot.lookback_bar_count = LOOKBACK
        request = data_service_pb2.ReadCandlesRequest(snapshot=snapshot, row_limit=1)
        return next(iter(stub.ReadCandles(request))).header.snapshot


def read_candles(data_address: str, snapshot: candles_pb2.CandleSnapshot) -> Candles:
    """Return the candles of a snapshot."""
    with grpc.insecure_channel(data_address) as channel:
        stub = data_service_pb2_grpc.DataServiceStub(channel)
        answers = stub.ReadCandles(data_service_pb2.ReadCandlesRequest(snapshot=snapshot))
        parts = [from_proto(answer.candles) for answer in answers if answer.HasField("candles")]
        return Candles.concatenate(parts)


def batch_request(
    snapshot: candles_pb2.CandleSnapshot,
) -> backtest_service_pb2.RunBacktestBatchRequest:
    """Return the grid as one request."""
    fast, slow = periods()
    request = backtest_service_pb2.RunBacktestBatchRequest(
        snapshot=snapshot,
        strategy=strategy_pb2.StrategyChoice(name="strategies/ma_crossover"),
        set_count=len(fast),
        metrics=METRICS,
    )
    for name, column in (("fast_period", fast), ("slow_period", slow)):
        request.columns.add(name=name).int_values.values.extend(column.tolist())
    request.execution.taker_fee_bps = FEE_BPS
    return request


def _window(start_ms: int) -> candles_pb2.TimeWindow:
    return candles_pb2.TimeWindow(
        start_time=timestamp_from_ms(start_ms),
        end_time=timestamp_from_ms(start_ms + BARS * _HOUR_MS),
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
