"""Candle frames from the data service, each fetched once however many calls want it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import numpy as np
from assay.data.v1 import data_service_pb2, data_service_pb2_grpc

from services.backtest.adapters.frame_cache import FrameCache
from services.backtest.adapters.single_flight import SingleFlight
from services.backtest.convert.snapshots import LoadedFrame, SnapshotChoice
from services.backtest.core.frame import Frame
from services.common.channel import connect
from services.common.errors import AssayError, unavailable
from services.common.frames import COLUMN_NAMES, Candles
from services.common.frames_codec import from_proto
from services.common.intervals import Interval
from services.common.status import error_of

SERVICE = "assay.data.v1.DataService"

_ATTEMPTS = 3
"""Tries for a call that takes any content, when the dataset changes between header and rows."""

logger = logging.getLogger(__name__)

_Answers = AsyncIterator[data_service_pb2.ReadCandlesResponse]


class CandleClient:
    """Loads frames through a channel to the data service and keeps them in a cache."""

    def __init__(self, address: str, *, cache_bytes: int, timeout_seconds: float) -> None:
        self._channel = connect(address, SERVICE, timeout_seconds=timeout_seconds)
        self._stub = data_service_pb2_grpc.DataServiceStub(self._channel)
        self._timeout_seconds = timeout_seconds
        self._cache = FrameCache(cache_bytes)
        self._flights: SingleFlight[SnapshotChoice, LoadedFrame] = SingleFlight()

    async def load(self, choice: SnapshotChoice) -> LoadedFrame:
        """Return the frame of a snapshot whose lookback is set.

        With a digest a held frame is the answer, without asking anyone. Without one the data
        service is asked for the digest of the present content first.

        Raises:
            AssayError: the data service's own errors, with its domain; UNAVAILABLE/DATA_UNAVAILABLE
                when it does not answer.
        """
        if choice.digest:
            return await self._pinned(choice)
        for attempt in range(1, _ATTEMPTS + 1):
            current = await self._present(choice)
            try:
                return await self._pinned(current)
            except AssayError as error:
                if error.reason != "DATASET_CHANGED" or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def cached_digests(self) -> list[str]:
        """Return the digests of the frames held, most recently used first."""
        return self._cache.digests()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _pinned(self, choice: SnapshotChoice) -> LoadedFrame:
        held = self._cache.get(choice)
        if held is not None:
            return held
        return await self._flights.run(choice, lambda: self._fetch(choice))

    async def _present(self, choice: SnapshotChoice) -> SnapshotChoice:
        """Return the choice as the data service resolves it now, digest included."""
        async with self._reading(choice, row_limit=1) as answers:
            return SnapshotChoice.from_proto((await _header(answers)).snapshot)

    async def _fetch(self, choice: SnapshotChoice) -> LoadedFrame:
        async with self._reading(choice) as answers:
            header = await _header(answers)
            candles = await _candles(answers, header.row_count)
        # Hashing 100 MB takes a tenth of a second, which the event loop does not have.
        digest = await asyncio.to_thread(candles.content_digest)
        if not digest == header.snapshot.content_digest == choice.digest:
            raise unavailable("DATA_UNAVAILABLE", "the candles received differ from their digest")
        loaded = LoadedFrame(
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
        self._cache.put(choice, loaded)
        logger.info(
            "frame.fetched",
            extra={"dataset": choice.dataset, "digest": digest, "rows": header.row_count},
        )
        return loaded

    @asynccontextmanager
    async def _reading(self, choice: SnapshotChoice, row_limit: int = 0) -> AsyncIterator[_Answers]:
        """Open a stream of candles, and end it when the caller has read enough."""
        request = data_service_pb2.ReadCandlesRequest(
            snapshot=choice.to_proto(), row_limit=row_limit
        )
        call = self._stub.ReadCandles(request, timeout=self._timeout_seconds)
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


async def _header(answers: _Answers) -> data_service_pb2.ReadCandlesHeader:
    async for answer in answers:
        if answer.HasField("header"):
            return answer.header
        break
    raise unavailable("DATA_UNAVAILABLE", "the data service sent no header")


async def _candles(answers: _Answers, row_count: int) -> Candles:
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
