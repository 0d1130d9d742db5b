"""The data service as a worker reads it: streams of candles and of funding rates, as arrays."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from assay.data.v1 import data_service_pb2, data_service_pb2_grpc
from assay.market.v1.candles_pb2 import TimeWindow

from services.backtest.convert.loaded_frame import LoadedFrame
from services.backtest.convert.snapshots import SnapshotChoice
from services.backtest.core.frame import Frame, Funding
from services.common.channel import PLAIN, connect
from services.common.errors import AssayError, unavailable
from services.common.frames import COLUMN_NAMES, Candles
from services.common.frames_codec import from_proto, timestamp_from_ms
from services.common.intervals import Interval
from services.common.settings import ChannelSettings
from services.common.status import error_of

SERVICE = "assay.data.v1.DataService"


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open piece of time, ms since the epoch."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a frame of candles is, before its rows.

    Attributes:
        snapshot: Which candles, every field set.
        interval: Length of a bar.
    """

    snapshot: SnapshotChoice
    interval: Interval


class DataReader:
    """Reads frames through a channel to the data service; keeps nothing.

    Every method may raise AssayError: the data service's own errors, with its domain;
    UNAVAILABLE/DATA_UNAVAILABLE when it does not answer, or not what it promised.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_seconds: float,
        security: ChannelSettings = PLAIN,
    ) -> None:
        self._channel = connect(
            address, SERVICE, timeout_seconds=timeout_seconds, security=security
        )
        self._stub = data_service_pb2_grpc.DataServiceStub(self._channel)
        self._timeout_seconds = timeout_seconds

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def header(self, choice: SnapshotChoice) -> Header:
        """Return what a snapshot is now."""
        async with self._reading(choice, row_limit=1) as answers:
            header = await _header(answers)
        snapshot = SnapshotChoice.from_proto(header.snapshot)
        return Header(snapshot, Interval.from_number(header.interval))

    async def frame(self, choice: SnapshotChoice) -> LoadedFrame:
        """Return the candles of a snapshot with a digest."""
        async with self._reading(choice) as answers:
            header = await _header(answers)
            candles = await _candles(answers, header.row_count)
        # Hashing 100 MB takes a tenth of a second, which the event loop does not have.
        digest = await asyncio.to_thread(candles.content_digest)
        if not digest == header.snapshot.content_digest == choice.digest:
            raise unavailable("DATA_UNAVAILABLE", "the candles received differ from their digest")
        return LoadedFrame(
            frame=Frame(
                candles=candles,
                window_start=header.lookback_row_count,
                interval=Interval.from_number(header.interval),
                lookback_wanted=header.snapshot.lookback_bar_count,
            ),
            snapshot=SnapshotChoice.from_proto(header.snapshot),
            missing_bar_count=header.missing_bar_count,
            synthetic=header.synthetic,
        )

    async def funding(self, dataset: str, span: Span) -> Funding:
        """Return the settlements of a span."""
        window = TimeWindow(
            start_time=timestamp_from_ms(span.start_ms), end_time=timestamp_from_ms(span.end_ms)
        )
        request = data_service_pb2.ReadFundingRequest(name=dataset, window=window)
        times, rates = [np.empty(0, np.int64)], [np.empty(0)]
        async with _ending(self._stub.ReadFunding(request, timeout=self._timeout_seconds)) as call:
            async for answer in call:
                times.append(np.array(answer.funding.funding_time_ms, np.int64))
                rates.append(np.array(answer.funding.funding_rate_ratio, np.float64))
        funding = Funding(np.concatenate(times), np.concatenate(rates))
        _check_funding(funding, span)
        return funding

    @asynccontextmanager
    async def _reading(
        self, choice: SnapshotChoice, row_limit: int = 0
    ) -> AsyncIterator[AsyncIterator[data_service_pb2.ReadCandlesResponse]]:
        request = data_service_pb2.ReadCandlesRequest(
            snapshot=choice.to_proto(), row_limit=row_limit
        )
        async with _ending(self._stub.ReadCandles(request, timeout=self._timeout_seconds)) as call:
            yield call


def funding_digest(funding: Funding) -> str:
    """Return the hexadecimal SHA-256 of the little-endian column bytes, as the contract says."""
    digest = hashlib.sha256(funding.time_ms.astype("<i8").tobytes())
    digest.update(funding.rate_ratio.astype("<f8").tobytes())
    return digest.hexdigest()


def _check_funding(funding: Funding, span: Span) -> None:
    times, rates = funding.time_ms, funding.rate_ratio
    sound = (
        len(times) == len(rates)
        and bool(np.isfinite(rates).all())
        and bool((np.diff(times) > 0).all())
        and (not len(times) or span.start_ms <= times[0] <= times[-1] < span.end_ms)
    )
    if not sound:
        raise unavailable("DATA_UNAVAILABLE", "the data service sent funding rates out of order")


@asynccontextmanager
async def _ending(call: Any) -> AsyncIterator[Any]:
    """Give a stream's answers, and end it when the caller has read enough."""
    try:
        yield call.__aiter__()
    except grpc.RpcError as error:
        raise _told(error_of(error)) from error
    finally:
        call.cancel()


def _told(error: AssayError) -> AssayError:
    """Return what the caller should hear: the data service's own words, or that it said nothing."""
    if error.domain is None:
        return unavailable("DATA_UNAVAILABLE", f"the data service did not answer: {error.message}")
    return error


async def _header(
    answers: AsyncIterator[data_service_pb2.ReadCandlesResponse],
) -> data_service_pb2.ReadCandlesHeader:
    async for answer in answers:
        if answer.HasField("header"):
            return answer.header
        break
    raise unavailable("DATA_UNAVAILABLE", "the data service sent no header")


async def _candles(
    answers: AsyncIterator[data_service_pb2.ReadCandlesResponse], row_count: int
) -> Candles:
    """Collect the rows into columns made once, so that memory holds them once."""
    columns = Candles.from_columns(
        [np.empty(row_count, np.int64), *(np.empty(row_count) for _ in COLUMN_NAMES[1:])]
    )
    filled = 0
    async for answer in answers:
        part = from_proto(answer.candles)
        if filled + len(part) > row_count:
            break
        for column, values in zip(columns.columns(), part.columns(), strict=True):
            column[filled : filled + len(part)] = values
        filled += len(part)
    if filled != row_count:
        raise unavailable("DATA_UNAVAILABLE", f"the data service sent {filled} of {row_count} rows")
    return columns
