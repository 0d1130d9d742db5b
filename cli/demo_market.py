"""Candles for the demo: the user's file, the exchange if it answers, else a made-up market."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from assay.data.v1.data_service_pb2 import (
    ImportCandlesResponse,
    SyncDatasetRequest,
    SyncDatasetResponse,
)
from assay.data.v1.dataset_pb2 import Dataset, ImportHeader, SyntheticMarket

from cli import dataset_file
from cli.connection import Services
from cli.failures import BadUsageError
from cli.figures import moment
from cli.file_interval import interval_of
from cli.options import window_of
from cli.output import emit
from cli.progress import Meter, meter
from services.common.intervals import Interval

EXCHANGE_DATASET = "datasets/bybit.linear.btcusdt.1h"
SYNTHETIC_DATASET = "datasets/synthetic.demo.1h"
SYNTHETIC_SEED = 7
_FIRST_ROWS_SECONDS = 8.0
"""How long the exchange may take to send its first candles."""
_NEXT_ROWS_SECONDS = 20.0
"""How long it may pause afterwards."""
_DAYS = 365


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file of the user and how to import it.

    Attributes:
        file: The file.
        header: The header of the import.
    """

    file: Path
    header: ImportHeader


def own_file(
    file: Path, interval: Interval | None, accept: Iterable[dataset_file.Accept]
) -> OwnFile:
    """Prepare the import of a file.

    Raises:
        BadUsageError: no interval is given, and the file does not tell it.
    """
    told = interval or interval_of(file)
    if told is None:
        choices = ", ".join(item.value for item in Interval)
        raise BadUsageError(
            f"{file.name} does not tell how long its bars are; say --interval ({choices})"
        )
    letters = re.findall("[a-z0-9]+", file.name.lower())
    name = f"datasets/file.{letters[0] if letters else 'candles'}.{told.value}"
    return OwnFile(file, dataset_file.header(file, name=name, accept=accept))


async def imported(services: Services, own: OwnFile) -> Dataset:
    """Import the user's file."""
    with meter(f"importing {own.file.name}", "bytes") as shown:
        response: ImportCandlesResponse = await services.data.ImportCandles(
            dataset_file.pieces(own.file, own.header, shown), timeout=dataset_file.TIMEOUT_SECONDS
        )
    return _told(response.dataset, f"imported {own.file.name}")


async def from_exchange(services: Services) -> Dataset | None:
    """Fetch the last 365 full days from Bybit; None where it does not answer in time."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=_DAYS)
    request = SyncDatasetRequest(name=EXCHANGE_DATASET, window=window_of(_ms(start), _ms(end)))
    emit(f"asking Bybit for a year of BTCUSDT candles (for {_FIRST_ROWS_SECONDS:g} s at most) ...")
    call = services.data.SyncDataset(request)
    try:
        with meter(f"syncing {EXCHANGE_DATASET}", "rows") as shown:
            dataset = await _synced(call, shown)
    except (grpc.aio.AioRpcError, TimeoutError) as error:
        call.cancel()
        reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else "too slow"
        emit(f"  ({reason})")
        return None
    return _told(dataset, "fetched from Bybit")


async def _synced(
    call: grpc.aio.UnaryStreamCall[SyncDatasetRequest, SyncDatasetResponse], shown: Meter
) -> Dataset:
    """Read a sync to its end; TimeoutError where rows are too long in coming."""
    last = SyncDatasetResponse()
    answers = aiter(call)
    async with asyncio.timeout(_FIRST_ROWS_SECONDS) as patience:
        with contextlib.suppress(StopAsyncIteration):
            while True:
                last = await anext(answers)
                shown.update(last.fetched_row_count, last.expected_row_count)
                if last.fetched_row_count:
                    patience.reschedule(asyncio.get_running_loop().time() + _NEXT_ROWS_SECONDS)
    return last.dataset


async def made_up(services: Services) -> Dataset:
    """Make a year of synthetic candles."""
    emit(
        "the exchange did not answer: using a SYNTHETIC market "
        f"(made up, seed {SYNTHETIC_SEED}); nothing found in it means anything"
    )
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    request = SyncDatasetRequest(
        name=SYNTHETIC_DATASET,
        window=window_of(_ms(start), _ms(end)),
        synthetic=SyntheticMarket(seed=SYNTHETIC_SEED),
    )
    last = SyncDatasetResponse()
    with meter(f"making {SYNTHETIC_DATASET}", "rows") as shown:
        async for last in services.data.SyncDataset(request):
            shown.update(last.fetched_row_count, last.expected_row_count)
    return _told(last.dataset, "made up")


def _told(dataset: Dataset, how: str) -> Dataset:
    emit(
        f"{how}: {dataset.row_count:,} bars as {dataset.name}, "
        f"{moment(dataset.first_open_time)} to {moment(dataset.last_open_time)} UTC, "
        f"{dataset.quality.missing_bar_count:,} missing"
    )
    return dataset


def _ms(time: datetime) -> int:
    return int(time.timestamp()) * 1000
