"""Reading frames: one consistent version, its window and lookback, cached by what it is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from services.common.errors import AssayError, Code, Violation, fields_invalid, unknown
from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.core import windows
from services.data.core.dataset import Dataset
from services.data.core.grid import first_open_from
from services.data.core.ports import (
    DatasetStore,
    FrameCache,
    FundingRates,
    Span,
    StoreConflict,
)

_ATTEMPTS = 5
_EVEN = frozenset(Interval) - {Interval.MONTH_1}
_BYTES_A_FRAME = 4_096
_BYTES_A_GAP = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frame a caller wants.

    Attributes:
        dataset: The dataset's name.
        start_ms: First open time of the window; None: the dataset's first.
        end_ms: First open time after the window; None: after the dataset's last.
        lookback_bar_count: Bars wanted before the window.
        content_digest: Digest the frame must have; "" takes any.
    """

    dataset: str
    start_ms: int | None = None
    end_ms: int | None = None
    lookback_bar_count: int = 0
    content_digest: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of candles and what it is.

    Attributes:
        dataset: The dataset in the version read.
        window: The window, both edges filled in.
        candles: Lookback rows, then the window's rows.
        lookback_row_count: Rows before the window.
        content_digest: Digest of `candles`.
        missing_bar_count: Bars missing between the frame's rows.
    """

    dataset: Dataset
    window: Span
    candles: Candles
    lookback_row_count: int
    content_digest: str
    missing_bar_count: int


@dataclass(slots=True)
class FrameTally:
    """Where the frames of a process came from.

    Attributes:
        memory: From this process's memory.
        shared: From the cache that replicas share.
        store: From the store.
    """

    memory: int = 0
    shared: int = 0
    store: int = 0


class FrameReader:
    """Reads frames from memory, else from the shared cache, else from the store.

    Attributes:
        tally: Where the frames came from so far.
    """

    def __init__(self, store: DatasetStore, shared: FrameCache | None, budget_bytes: int) -> None:
        self._store = store
        self._shared = shared
        self._budget_bytes = budget_bytes
        self._frames: OrderedDict[str, Frame] = OrderedDict()
        self._held_bytes = 0
        self.tally = FrameTally()
        self._loading = asyncio.Lock()

    @property
    def held_bytes(self) -> int:
        """Memory the kept frames take."""
        return self._held_bytes

    async def dataset(self, name: str) -> Dataset:
        """Return the dataset; AssayError DATASET_UNKNOWN where there is none."""
        found = await self._store.find(name)
        if found is None:
            raise unknown("dataset", name, await self._store.names(), "DATASET_UNKNOWN")
        return found

    async def frame(self, wanted: Wanted) -> Frame:
        """Return the frame wanted.

        Raises:
            AssayError: DATASET_UNKNOWN, WINDOW_OUTSIDE_DATASET, DATASET_CHANGED; FIELD_INVALID
                for a dataset of funding rates.
        """
        for _ in range(_ATTEMPTS):
            dataset = await self.dataset(wanted.dataset)
            if dataset.interval is None:
                raise _wrong_kind("snapshot.dataset", dataset, "funding rates", "ReadFunding")
            window = windows.resolve(dataset, wanted.start_ms, wanted.end_ms)
            try:
                frame = await self._frame(dataset, window, wanted.lookback_bar_count)
            except StoreConflict:
                continue
            if wanted.content_digest not in {"", frame.content_digest}:
                raise _changed(wanted, frame)
            return frame
        raise StoreConflict(wanted.dataset)

    async def funding(self, name: str, span: Span) -> FundingRates:
        """Return the settlements of a span; AssayError DATASET_UNKNOWN, FIELD_INVALID."""
        for _ in range(_ATTEMPTS):
            dataset = await self.dataset(name)
            if dataset.interval is not None:
                raise _wrong_kind("name", dataset, "candles", "ReadCandles")
            try:
                rows = await self._store.read(dataset, span)
            except StoreConflict:
                continue
            if not isinstance(rows, FundingRates):
                raise TypeError(f"{name} holds no funding rates")
            return rows
        raise StoreConflict(name)

    async def _frame(self, dataset: Dataset, window: Span, lookback: int) -> Frame:
        key = (
            f"{dataset.name}/{dataset.table_id}/{dataset.version}"
            f"/{window.start_ms}/{window.end_ms}/{lookback}"
        )
        # One load at a time: whoever asks for the same frame meanwhile finds it in memory.
        loaded = False
        if key not in self._frames:
            async with self._loading:
                if key not in self._frames:
                    self._keep(key, await self._load(key, dataset, window, lookback))
                    loaded = True
        self.tally.memory += not loaded
        self._frames.move_to_end(key)
        return self._frames[key]

    def _keep(self, key: str, frame: Frame) -> None:
        self._frames[key] = frame
        self._held_bytes += _cost_bytes(frame)
        while self._held_bytes > self._budget_bytes and len(self._frames) > 1:
            _, oldest = self._frames.popitem(last=False)
            self._held_bytes -= _cost_bytes(oldest)

    async def _load(self, key: str, dataset: Dataset, window: Span, lookback: int) -> Frame:
        candles = await self._shared.get(key) if self._shared else None
        if candles is not None:
            self.tally.shared += 1
        else:
            candles = await self._read(dataset, window, lookback)
            self.tally.store += 1
            if self._shared:
                await self._shared.put(key, candles)
        return await asyncio.to_thread(_describe, dataset, window, candles)

    async def _read(self, dataset: Dataset, window: Span, lookback: int) -> Candles:
        start = window.start_ms
        if lookback and dataset.quality.gap_count == 0 and dataset.interval in _EVEN:
            # Without gaps the first row of the frame needs no looking for.
            start = first_open_from(start, dataset.interval) - lookback * dataset.interval.length_ms
        elif lookback:
            before = await self._store.times_before(dataset, window.start_ms)
            start = int(before[-lookback:][0]) if len(before) else start
        rows = await self._store.read(dataset, Span(start, window.end_ms))
        if not isinstance(rows, Candles):
            raise TypeError(f"{dataset.name} holds no candles")
        if len(rows) == 0 or rows.open_time_ms[-1] < window.start_ms:
            raise windows.outside(dataset, window.start_ms, window.end_ms)
        return rows


def _describe(dataset: Dataset, window: Span, candles: Candles) -> Frame:
    if dataset.interval is None:
        raise TypeError(f"{dataset.name} holds no candles")
    first, last = int(candles.open_time_ms[0]), int(candles.open_time_ms[-1])
    return Frame(
        dataset=dataset,
        window=window,
        candles=candles,
        lookback_row_count=int(np.searchsorted(candles.open_time_ms, window.start_ms)),
        content_digest=candles.content_digest(),
        missing_bar_count=dataset.interval.bars_between(first, last) + 1 - len(candles),
    )


def _cost_bytes(frame: Frame) -> int:
    """Return what a kept frame takes: small ones are mostly what is said about them."""
    return frame.candles.nbytes + _BYTES_A_FRAME + _BYTES_A_GAP * len(frame.dataset.quality.gaps)


def _changed(wanted: Wanted, frame: Frame) -> AssayError:
    return AssayError(
        Code.ABORTED,
        "DATASET_CHANGED",
        f"{wanted.dataset} has changed: wanted {wanted.content_digest}, "
        f"found {frame.content_digest}; pin the snapshot anew",
        metadata={
            "wanted_digest": wanted.content_digest,
            "actual_digest": frame.content_digest,
        },
    )


def _wrong_kind(field: str, dataset: Dataset, held: str, method: str) -> AssayError:
    return fields_invalid([Violation(field, f"{dataset.name} holds {held}; read it by {method}")])
