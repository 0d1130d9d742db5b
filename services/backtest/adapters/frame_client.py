"""Frames from the data service, each fetched once however many calls want it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from services.backtest.adapters.data_reader import DataReader
from services.backtest.adapters.frame_cache import FrameCache
from services.backtest.adapters.series_reader import SeriesReader
from services.backtest.adapters.single_flight import SingleFlight
from services.backtest.convert.loaded_frame import LoadedFrame
from services.backtest.convert.series import NO_SERIES, SeriesChoices
from services.backtest.convert.snapshots import SnapshotChoice
from services.common.channel import PLAIN
from services.common.errors import AssayError
from services.common.settings import ChannelSettings

_ATTEMPTS = 3
"""Tries for a call that takes any content, when the data change between digest and rows."""

logger = logging.getLogger(__name__)

T = TypeVar("T")


class FrameClient:
    """Loads frames through a channel to the data service and keeps them in a cache.

    Equal calls get the same frame object, so that what is computed once of a frame stays with it.
    """

    def __init__(
        self,
        address: str,
        *,
        cache_bytes: int,
        timeout_seconds: float,
        security: ChannelSettings = PLAIN,
    ) -> None:
        self._reader = DataReader(address, timeout_seconds=timeout_seconds, security=security)
        self._series = SeriesReader(self._reader)
        self._cache = FrameCache(cache_bytes)
        self._flights: SingleFlight[tuple[SnapshotChoice, SeriesChoices], LoadedFrame] = (
            SingleFlight()
        )

    async def load(self, choice: SnapshotChoice, series: SeriesChoices = NO_SERIES) -> LoadedFrame:
        """Return the frame of a snapshot whose lookback is set, with series beside it.

        With digests a held frame is the answer, without asking anyone. Without one the data
        service is asked for the digest of the present content first.

        Raises:
            AssayError: the data service's own errors, with its domain; UNAVAILABLE/DATA_UNAVAILABLE
                when it does not answer; FAILED_PRECONDITION/SERIES_INCOMPLETE where a series does
                not fit the candles.
        """
        plain = await _persistently(lambda: self._plain(choice))
        if not series:
            return plain
        return await _persistently(lambda: self._with_series(plain, series))

    def cached_digests(self) -> list[str]:
        """Return the digests of the frames held, most recently used first."""
        return self._cache.digests()

    async def close(self) -> None:
        """Close the channel."""
        await self._reader.close()

    async def _plain(self, choice: SnapshotChoice) -> LoadedFrame:
        if not choice.digest:
            choice = (await self._reader.header(choice)).snapshot
        held = self._cache.get(choice)
        if held is not None:
            return held

        async def fetch() -> LoadedFrame:
            loaded = await self._reader.frame(choice)
            self._keep(choice, loaded)
            return loaded

        return await self._flights.run((choice, NO_SERIES), fetch)

    async def _with_series(self, plain: LoadedFrame, series: SeriesChoices) -> LoadedFrame:
        pinned = await self._series.pinned(plain.frame, series)
        held = self._cache.get(plain.snapshot, pinned)
        if held is not None and held.frame.candles is plain.frame.candles:
            return held

        async def fetch() -> LoadedFrame:
            read = await self._series.read(plain.frame, pinned)
            loaded = LoadedFrame(
                frame=replace(
                    plain.frame, funding=read.funding, mark=read.mark, detail=read.detail
                ),
                snapshot=plain.snapshot,
                missing_bar_count=plain.missing_bar_count,
                synthetic=plain.synthetic or read.synthetic,
                series=pinned,
            )
            self._keep(plain.snapshot, loaded)
            return loaded

        return await self._flights.run((plain.snapshot, pinned), fetch)

    def _keep(self, choice: SnapshotChoice, loaded: LoadedFrame) -> None:
        self._cache.put(choice, loaded)
        rows = len(loaded.frame.candles)
        told = {"dataset": choice.dataset, "digest": loaded.snapshot.digest, "rows": rows}
        logger.info("frame.fetched", extra=told)


async def _persistently(load: Callable[[], Awaitable[T]]) -> T:
    """Return what a load gives, tried again where the data change under it.

    With every digest given each try ends alike, so that the last one's error is the caller's.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await load()
        except AssayError as error:
            if error.reason != "DATASET_CHANGED":
                raise
    return await load()
