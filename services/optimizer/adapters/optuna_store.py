"""Studies, trials and events in one database, the trials in Optuna's own schema.

Any Optuna client reads every study by its id as study name. While a study runs, only its owner may
add trials. Each method is one transaction and may be repeated after an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from services.common.errors import AssayError, Code
from services.optimizer.adapters import store_transactions as transactions
from services.optimizer.adapters.database import Database
from services.optimizer.adapters.study_tables import STUDIES
from services.optimizer.core.ports import StudyRecord, StudyShape, StudyState
from services.optimizer.core.trial import Trial

Answer = TypeVar("Answer")


class OptunaStore:
    """A `StudyStore` on SQLite or PostgreSQL.

    Every method raises AssayError UNAVAILABLE/STORE_UNAVAILABLE while the database does not
    answer; the change is then made either whole or not at all, and repeating the call makes it
    once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # One writer, as SQLite has it; a long read must not hold up a running study.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="study-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="study-reader")

    @classmethod
    async def open(cls, database_url: str) -> Self:
        """Open the store, making its tables where they are missing.

        Args:
            database_url: sqlite:///FILE, postgresql://... or postgresql+psycopg://...

        Raises:
            ValueError: the URL is of another kind.
            AssayError: UNAVAILABLE/STORE_UNAVAILABLE.
        """
        database = Database(database_url)
        try:
            await asyncio.to_thread(database.make_tables)
        except BaseException:
            database.close()
            raise
        return cls(database)

    async def close(self) -> None:
        """Finish what is under way and close all connections."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._reader.shutdown)
        self._database.close()

    async def create(self, record: StudyRecord, shape: StudyShape) -> None:
        """Store a new study.

        Raises:
            AssayError: ALREADY_EXISTS/STUDY_EXISTS when its id, or its request's id, is taken.
        """
        try:
            await self._write(transactions.create_study, record, shape)
        except sa.exc.IntegrityError:
            same_id = await self.get(record.study_id)
            if same_id is not None and _is_repetition(same_id, record):
                return
            same_request = await self.find_request(record.request_id)
            raise _study_exists(same_id or same_request or record) from None

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""
        return await self._read(transactions.first_study, STUDIES.c.study_id == study_id)

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None; None for an empty id."""
        return await self._read(transactions.first_study, STUDIES.c.request_id == request_id)

    async def update(self, record: StudyRecord, events: Sequence[bytes] = ()) -> None:
        """Replace a study's record and append events, unless its log already ends with them.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
        """
        await self._write(transactions.update_study, record, tuple(events))

    async def append_generation(
        self, study_id: str, trials: Sequence[Trial], events: Sequence[bytes]
    ) -> None:
        """Store a whole generation and its events, or nothing of it.

        Trials already stored are left alone; where all are, so are the events.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
            ValueError: the numbers do not follow the stored ones.
        """
        await self._write(transactions.append_generation, study_id, tuple(trials), tuple(events))

    async def trials(self, study_id: str) -> list[Trial]:
        """Return all trials by rising number, exactly as they were appended; [] if no study."""
        return await self._read(transactions.read_trials, study_id)

    async def events(self, study_id: str, after_number: int, limit: int) -> list[tuple[int, bytes]]:
        """Return events with their numbers (from 1, without holes) after `after_number`."""
        return await self._read(transactions.read_events, study_id, after_number, limit)

    async def delete(self, study_id: str) -> bool:
        """Delete a study with everything; False if there is none."""
        return await self._write(transactions.delete_study, study_id)

    async def _write(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        def transaction() -> Answer:
            with self._database.writing() as connection:
                return work(connection, *arguments)

        return await asyncio.get_running_loop().run_in_executor(self._writer, transaction)

    async def _read(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        def transaction() -> Answer:
            with self._database.reading() as connection:
                return work(connection, *arguments)

        return await asyncio.get_running_loop().run_in_executor(self._reader, transaction)

    # Last, since its name hides the builtin from the annotations that follow.
    async def list(self, limit: int, offset: int, state: StudyState | None) -> list[StudyRecord]:
        """Return studies, newest first; only those in `state`, if given."""
        return await self._read(transactions.list_studies, limit, offset, state)


def _is_repetition(stored: StudyRecord, wanted: StudyRecord) -> bool:
    """Whether a create call made the stored study and is now repeated after a lost answer."""
    return (stored.request_digest, stored.create_time_ms, stored.spec) == (
        wanted.request_digest,
        wanted.create_time_ms,
        wanted.spec,
    )


def _study_exists(record: StudyRecord) -> AssayError:
    return AssayError(
        Code.ALREADY_EXISTS,
        "STUDY_EXISTS",
        f"study {record.study_id!r} exists already",
        metadata={"study": record.study_id},
    )
