"""Requests as sentences, and the rows and errors of answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import grpc
import pytest
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import data_service_pb2_grpc, dataset_pb2
from assay.market.v1.candles_pb2 import CandleColumns, CandleSnapshot, FundingColumns, TimeWindow

from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.frames_codec import from_proto, timestamp_from_ms, to_proto
from services.common.status import error_of

Header = dataset_pb2.ImportHeader
Stub: TypeAlias = "data_service_pb2_grpc.DataServiceAsyncStub"

HOUR = 3_600_000
DAY = 24 * HOUR
NAME = "datasets/file.test.1h"
ACCEPT_ALL = (
    Header.ACCEPTANCE_GAPS,
    Header.ACCEPTANCE_EQUAL_DUPLICATES,
    Header.ACCEPTANCE_OUT_OF_ORDER,
)


def bars(numbers: Iterable[int], price: float = 100.0) -> Candles:
    """Make hourly bars at the numbered hours; a bar's prices tell its number."""
    hours = list(numbers)
    closes = [price + hour / 7 for hour in hours]
    return Candles.from_columns(
        [
            [hour * HOUR for hour in hours],
            closes,
            [close + 1 for close in closes],
            [close - 1 for close in closes],
            closes,
            [hour + 0.1 for hour in hours],
        ]
    )


def window(start_ms: int | None = None, end_ms: int | None = None) -> TimeWindow:
    """Make a window; None leaves an edge unset."""
    return TimeWindow(
        start_time=None if start_ms is None else timestamp_from_ms(start_ms),
        end_time=None if end_ms is None else timestamp_from_ms(end_ms),
    )


def header(name: str = NAME, **fields: Any) -> pb.ImportCandlesRequest:
    """Make the first message of an import."""
    fields.setdefault("format", Header.FORMAT_COLUMNS)
    return pb.ImportCandlesRequest(header=Header(name=name, **fields))


async def import_bars(
    data: Stub, candles: Candles, name: str = NAME, accept: Iterable[Any] = ()
) -> dataset_pb2.Dataset:
    """Import candles as columns."""
    pieces = [header(name, accept=accept)]
    pieces += [
        pb.ImportCandlesRequest(candles=to_proto(candles.slice(start, start + 10_000)))
        for start in range(0, len(candles), 10_000)
    ]
    return (await data.ImportCandles(iter(pieces))).dataset


async def import_file(
    data: Stub, content: bytes, name: str = NAME, **fields: Any
) -> dataset_pb2.Dataset:
    """Import a file in pieces."""
    fields.setdefault("format", Header.FORMAT_CSV)
    pieces = [header(name, **fields)]
    pieces += [
        pb.ImportCandlesRequest(file_bytes=content[start : start + 2**20])
        for start in range(0, len(content), 2**20)
    ]
    return (await data.ImportCandles(iter(pieces))).dataset


def funding_columns(rates: dict[int, float]) -> FundingColumns:
    """Make columns of settlements."""
    return FundingColumns(funding_time_ms=list(rates), funding_rate_ratio=list(rates.values()))


async def read(
    data: Stub, name: str = NAME, row_limit: int = 0, **snapshot: Any
) -> tuple[pb.ReadCandlesHeader, Candles]:
    """Read a frame; checks that one header comes first and that chunks are of bounded size."""
    request = pb.ReadCandlesRequest(
        snapshot=CandleSnapshot(dataset=name, **snapshot), row_limit=row_limit
    )
    answers = [answer async for answer in data.ReadCandles(request)]
    assert [answer.WhichOneof("content") for answer in answers] == (
        ["header"] + ["candles"] * (len(answers) - 1)
    )
    chunks = [answer.candles for answer in answers[1:]]
    assert all(0 < len(chunk.open_time_ms) <= 16_384 for chunk in chunks)
    return answers[0].header, Candles.concatenate(map(from_proto, chunks))


async def sync(data: Stub, name: str, **fields: Any) -> list[pb.SyncDatasetResponse]:
    """Sync to the end and return every message; the dataset stands in the last one only."""
    request = pb.SyncDatasetRequest(name=name, **fields)
    answers = [answer async for answer in data.SyncDataset(request)]
    assert [answer.HasField("dataset") for answer in answers] == (
        [False] * (len(answers) - 1) + [True]
    )
    return answers


async def get(data: Stub, name: str = NAME) -> dataset_pb2.Dataset:
    """Describe a dataset."""
    return (await data.GetDataset(pb.GetDatasetRequest(name=name))).dataset


async def refusal(call: Any) -> AssayError:
    """Return the error a call (or the reading of a stream) ends with."""

    async def finished() -> None:
        if hasattr(call, "__aiter__"):
            _ = [answer async for answer in call]
        else:
            await call

    with pytest.raises(grpc.RpcError) as caught:
        await finished()
    error = error_of(caught.value)
    assert error.domain == "data.assay"
    return error


def fields(error: AssayError) -> list[str]:
    """Return the fields an error complains about."""
    assert error.code.name == "INVALID_ARGUMENT"
    return [violation.field for violation in error.violations]


def columns(**given: list[float]) -> CandleColumns:
    """Make columns of one bar, some replaced."""
    plain: dict[str, Any] = {"open_time_ms": [0], "open": [1], "high": [1], "low": [1]}
    return CandleColumns(**(plain | {"close": [1], "volume": [1]} | given))
