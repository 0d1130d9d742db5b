"""Fetching a dataset from an exchange: page by page, each kept, so that any break can go on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.common.errors import Violation, fields_invalid
from services.common.intervals import DAY_MS, Interval
from services.data.core import quality, storing
from services.data.core import rows as tables
from services.data.core.catalog import DatasetName
from services.data.core.dataset import Dataset
from services.data.core.grid import first_open_from, last_open_until
from services.data.core.moments import iso
from services.data.core.ports import (
    CandleSource,
    DatasetStore,
    FundingSource,
    InstrumentId,
    Rows,
    Span,
    StoreConflict,
)
from services.data.core.quality import Acceptance, Upload
from services.data.core.sync import DEFAULT_HISTORY_MS, merge, plan

_FLUSH_ROWS = 50_000
_FLUSH_SECONDS = 2.0


class Exchange(CandleSource, FundingSource, Protocol):
    """An exchange that gives candles and funding rates."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync has come.

    Attributes:
        fetched_row_count: Rows fetched or made so far.
        expected_row_count: Rows expected in all.
        dataset: The dataset as stored, at the end only.
    """

    fetched_row_count: int
    expected_row_count: int
    dataset: Dataset | None = None


class Fetcher:
    """Brings datasets up to date from exchanges."""

    def __init__(
        self,
        store: DatasetStore,
        exchanges: Mapping[str, Exchange],
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._exchanges = exchanges
        self._clock_ms = clock_ms

    async def fetch(
        self,
        name: DatasetName,
        instrument: InstrumentId,
        start_ms: int | None,
        end_ms: int | None,
    ) -> AsyncGenerator[Progress, None]:
        """Fetch what is missing of a window; yields progress, and the dataset at last.

        Raises:
            AssayError: what the source says; SOURCE_MISMATCH; CANDLES_INVALID for a page that
                breaks the rules; FIELD_INVALID for a window without any bar of the source.
        """
        exchange = self._exchanges[instrument.source]
        held = _Held(self._store, name, instrument.source, self._clock_ms)
        await held.load()
        wanted = await self._wanted(exchange, name, instrument, held, start_ms, end_ms)
        todo = plan(tables.times(held.rows), wanted, name.interval)
        spans, revised_days, fetched = deque(todo.spans), set[int](), 0
        try:
            while spans:
                span = spans.popleft()
                async for page in _pages(exchange, instrument, name.interval, span):
                    fetched += len(page)
                    first_revised_ms = await held.add(page)
                    day = first_revised_ms - first_revised_ms % DAY_MS
                    if first_revised_ms and day not in revised_days:
                        # History was revised; what stands before it that day is in doubt too.
                        revised_days.add(day)
                        spans.append(Span(day, first_revised_ms))
                    yield Progress(fetched, max(todo.expected_row_count, fetched))
        except Exception:
            await held.flush()
            raise
        await held.flush()
        if held.dataset is None:
            raise _no_rows(wanted)
        yield Progress(fetched, max(todo.expected_row_count, fetched), held.dataset)

    async def _wanted(
        self,
        exchange: Exchange,
        name: DatasetName,
        instrument: InstrumentId,
        held: _Held,
        start_ms: int | None,
        end_ms: int | None,
    ) -> Span:
        """Fill the unset edges; nothing before the listing, nothing that has not happened yet."""
        now_ms = self._clock_ms()
        latest = now_ms if name.interval is None else last_open_until(now_ms, name.interval)
        end = latest if end_ms is None else min(end_ms, latest)
        if start_ms is None:
            start = held.dataset.last_ms if held.dataset else now_ms - DEFAULT_HISTORY_MS
        else:
            start = start_ms
        if name.interval is not None:
            earliest = await exchange.earliest_open_ms(instrument, name.interval)
            start = first_open_from(max(start, earliest), name.interval)
        if start >= end and held.dataset is None:
            raise _no_rows(Span(start, end))
        return Span(start, max(start, end))


def _no_rows(span: Span) -> Exception:
    window = f"{iso(span.start_ms)} to {iso(span.end_ms)}"
    return fields_invalid(
        [Violation("window", f"the source has nothing for it: {window} after listing and by now")]
    )


async def _pages(
    exchange: Exchange, instrument: InstrumentId, interval: Interval | None, span: Span
) -> AsyncIterator[Rows]:
    if interval is None:
        async for rates in exchange.funding_pages(instrument, span.start_ms, span.end_ms):
            yield rates
        return
    async for candles in exchange.pages(instrument, interval, span.start_ms, span.end_ms):
        yield candles


class _Held:
    """The rows stored, those fetched but not stored yet, and the version both build on."""

    def __init__(
        self, store: DatasetStore, name: DatasetName, source: str, clock_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._name = name
        self._source = source
        self._clock_ms = clock_ms
        self._pending: Rows = tables.make(name.interval, [[] for _ in self._columns])
        self._flushed_at: float | None = None
        self.rows: Rows = self._pending
        self.dataset: Dataset | None = None

    @property
    def _columns(self) -> tuple[str, ...]:
        return tables.column_names(self._name.interval)

    async def load(self) -> None:
        """Read what is stored."""
        for _ in range(storing.ATTEMPTS):
            self.dataset = await storing.find_of_source(self._store, self._name.full, self._source)
            if self.dataset is None:
                self.rows = tables.make(self._name.interval, [[] for _ in self._columns])
                return
            try:
                self.rows = await self._store.read(self.dataset)
            except StoreConflict:
                continue
            return
        raise StoreConflict(self._name.full)

    async def add(self, page: Rows) -> int:
        """Check a page and keep it; returns the time of the first stored row it revises, or 0."""
        if len(page) == 0:
            return 0
        gaps = frozenset({Acceptance.GAPS})
        checked = quality.check(Upload(page), self._name.interval, gaps)
        first_revised_ms = merge(self.rows, checked.rows).first_revised_ms
        self._pending = merge(self._pending, checked.rows).joined(self._pending)
        now = asyncio.get_running_loop().time()
        due = self._flushed_at is None or now - self._flushed_at >= _FLUSH_SECONDS
        if due or len(self._pending) >= _FLUSH_ROWS:
            await self.flush()
            self._flushed_at = asyncio.get_running_loop().time()
        return first_revised_ms

    async def flush(self) -> None:
        """Store what is pending; where somebody else has written, build on their version."""
        async with self._store.turn(self._name.full):
            for _ in range(storing.ATTEMPTS):
                try:
                    return await self._store_pending()
                except StoreConflict:
                    await self.load()
        raise StoreConflict(self._name.full)

    async def _store_pending(self) -> None:
        merged = merge(self.rows, self._pending)
        if len(merged.fresh) == 0 and merged.revised is None:
            self._pending = self._pending.slice(0, 0)
            return
        whole = await asyncio.to_thread(merged.joined, self.rows)
        described = await asyncio.to_thread(self._describe, whole)
        if self.dataset is None or merged.revised is not None:
            self.dataset = await self._store.replace(self.dataset, whole, described)
        else:
            self.dataset = await self._store.append(self.dataset, merged.fresh, described)
        self.rows, self._pending = whole, self._pending.slice(0, 0)

    def _describe(self, whole: Rows) -> Dataset:
        interval = self._name.interval
        report = quality.report_of(whole, interval)
        return storing.describe(
            self._name.full, self._source, interval, whole, report, self._clock_ms()
        )
