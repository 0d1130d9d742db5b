"""Storing what people send: read, checked as a whole, then one replacement or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from services.common.intervals import Interval
from services.data.core import quality, storing
from services.data.core.dataset import Dataset
from services.data.core.ports import DatasetStore
from services.data.core.quality import Acceptance, Upload
from services.data.core.uploads import FilePlan

SOURCE = "file"


class UploadReader(Protocol):
    """Reads files people have."""

    def read(self, content: bytes, plan: FilePlan) -> Upload:
        """Return the rows of a file in their order, unchecked.

        Raises AssayError FIELD_INVALID naming every column that cannot be found or told apart,
        and UPLOAD_TOO_LARGE for a file that is too large once unpacked.
        """
        ...


class Importer:
    """Stores uploads."""

    def __init__(
        self, store: DatasetStore, reader: UploadReader, clock_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock_ms = clock_ms

    async def admit(self, name: str) -> None:
        """Refuse a name held by another source before anything is sent; SOURCE_MISMATCH."""
        await storing.find_of_source(self._store, name, SOURCE)

    async def store_file(
        self, name: str, content: bytes, plan: FilePlan, accept: frozenset[Acceptance]
    ) -> Dataset:
        """Store a file as the dataset's whole content; AssayError as `UploadReader`, `store`."""
        upload = await asyncio.to_thread(self._reader.read, content, plan)
        return await self.store(name, upload, plan.interval, accept)

    async def store(
        self,
        name: str,
        upload: Upload,
        interval: Interval | None,
        accept: frozenset[Acceptance],
    ) -> Dataset:
        """Check an upload and store it as the dataset's whole content.

        Raises:
            AssayError: CANDLES_INVALID, SOURCE_MISMATCH; nothing is stored then.
        """
        checked = await asyncio.to_thread(quality.check, upload, interval, accept)

        def described() -> Dataset:
            return storing.describe(
                name, SOURCE, interval, checked.rows, checked.report, self._clock_ms()
            )

        return await storing.replace_whole(self._store, checked.rows, described)
