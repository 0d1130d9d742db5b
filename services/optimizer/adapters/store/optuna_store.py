"""Studies, trials and events in one database, the trials in Optuna's own schema.

Any Optuna client reads every study by its id as study name. While a study runs, only its owner may
add trials. Each method is one transaction and may be repeated after an outage.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self, TypeVar

import sqlalchemy as sa

from services.common.errors import AssayError, Code
from services.optimizer.adapters.store import (
    store_callers,
    store_leases,
    store_studies,
    store_trials,
)
from services.optimizer.adapters.store.database import Database
from services.optimizer.adapters.store.store_appends import append
from services.optimizer.adapters.store.store_ledger import read_ledger
from services.optimizer.adapters.store.study_tables import STUDIES
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import (
    Generation,
    Lease,
    LedgerEntry,
    Standing,
    StudyRecord,
    StudyShape,
    StudyState,
)
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Trial

Answer = TypeVar("Answer")


class StoreObserver(Protocol):
    """Hears of what a store does."""

    def transacted(self, operation: str, seconds: float, *, answered: bool) -> None:
        """Note a transaction: its name in the code, its time with all waiting."""

    def appended(self, generations: Sequence[Generation]) -> None:
        """Note stored generations."""


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
        # Deleting a large study takes seconds, in which leases must be renewed.
        self._remover = ThreadPoolExecutor(1, thread_name_prefix="study-remover")
        self._observer: StoreObserver | None = None

    def observe(self, observer: StoreObserver) -> None:
        """Tell an observer of all that is done from now on."""
        self._observer = observer

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
        for thread in (self._writer, self._reader, self._remover):
            await asyncio.to_thread(thread.shutdown)
        self._database.close()

    async def create(
        self,
        record: StudyRecord,
        shape: StudyShape,
        priors: Sequence[Trial] = (),
        caller_limit: int | None = None,
    ) -> None:
        """Store a new study, with the trials of others it learns from.

        Raises:
            AssayError: ALREADY_EXISTS/STUDY_EXISTS when its id, or its request's id, is taken;
                RESOURCE_EXHAUSTED/TOO_MANY_STUDIES when its caller has so many others unfinished.
        """
        work = store_studies.create_study
        try:
            await self._write(work, record, shape, tuple(priors), caller_limit)
        except sa.exc.IntegrityError:
            same_id = await self.get(record.study_id)
            if same_id is not None and _is_repetition(same_id, record):
                return
            same_request = await self.find_request(record.request_id)
            raise _study_exists(same_id or same_request or record) from None

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""
        return await self._read(store_studies.first_study, STUDIES.c.study_id == study_id)

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None; None for an empty id."""
        return await self._read(store_studies.first_study, STUDIES.c.request_id == request_id)

    async def list(
        self, limit: int, offset: int, state: StudyState | None
    ) -> Sequence[StudyRecord]:
        """Return studies, newest first; only those in `state`, if given."""
        return await self._read(store_studies.list_studies, limit, offset, state)

    async def state_counts(self) -> Mapping[StudyState, int]:
        """Return how many studies there are in each state that any is in."""
        return await self._read(store_studies.state_counts)

    async def unfinished_count(self, caller: str) -> int:
        """Return how many studies of a caller have not ended."""
        return await self._read(store_callers.unfinished_count, caller)

    async def claim(
        self, owner: str, lease_ms: int, most: int, study_id: str | None = None
    ) -> Sequence[StudyRecord]:
        """Take over unfinished studies that nobody has, the oldest first.

        Where the answer is lost, the studies are free again when these leases have run out.
        """
        return await self._write(store_leases.claim, owner, lease_ms, most, study_id)

    async def renew(self, leases: Sequence[Lease], lease_ms: int) -> Sequence[StudyRecord]:
        """Prolong leases, also such as have run out and nobody took; return what still holds."""
        return await self._write(store_leases.renew, tuple(leases), lease_ms)

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases up, so that another replica takes the studies at once."""
        await self._write(store_leases.release, tuple(leases))

    async def update(
        self,
        record: StudyRecord,
        events: Sequence[bytes],
        expected: Collection[StudyState],
        lease: Lease | None,
        caller_limit: int | None = None,
    ) -> bool:
        """Write a record's state, what changes with it, and events, where its state is expected.

        Raises:
            LeaseLostError: another owner has claimed the study.
            AssayError: NOT_FOUND/STUDY_UNKNOWN, RESOURCE_EXHAUSTED/TOO_MANY_STUDIES.
        """
        work, states = store_studies.update_study, frozenset(expected)
        return await self._write(work, record, tuple(events), states, lease, caller_limit)

    async def set_limits(self, study_id: str, limits: Limits) -> StudyRecord:
        """Replace a study's limits whatever its state; returns it as it is then.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
        """
        return await self._write(store_studies.set_limits, study_id, limits)

    async def append(
        self, lease: Lease, generations: Sequence[Generation], elapsed_ms: int
    ) -> Standing:
        """Store generations with their events and count them in the ledger, all or nothing.

        Trials already stored are left alone; where a generation's all are, so are its events.

        Raises:
            LeaseLostError: another owner has claimed the study.
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
            ValueError: the numbers do not follow the stored ones.
        """
        standing = await self._write(append, lease, tuple(generations), elapsed_ms)
        if self._observer is not None:
            self._observer.appended(generations)
        return standing

    async def trials(
        self, study_id: str, first_number: int = 0, limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials by rising number, exactly as they were appended; [] if no study."""
        return await self._read(store_trials.read_trials, study_id, first_number, limit)

    async def trials_numbered(self, study_id: str, numbers: Sequence[int]) -> Sequence[Trial]:
        """Return the trials with these numbers, in this order; those there are none of left out."""
        return await self._read(store_trials.read_numbered, study_id, tuple(numbers))

    async def table(self, study_id: str, metrics: Sequence[str] = ()) -> TrialTable:
        """Return all trials as columns; an empty table if no study."""
        return await self._read(store_trials.read_table, study_id, tuple(metrics))

    async def priors(self, study_id: str) -> Sequence[Trial]:
        """Return the trials of others the study was created with, in order."""
        return await self._read(store_trials.read_priors, study_id)

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events with their numbers (from 1, without holes) after `after_number`."""
        return await self._read(store_studies.read_events, study_id, after_number, limit)

    async def delete(self, study_id: str) -> bool:
        """Delete an ended study with everything but its ledger; False if there is none.

        Raises:
            AssayError: FAILED_PRECONDITION/STUDY_STATE_WRONG for one that has not ended.
        """
        return await self._write(store_studies.delete_study, study_id, thread=self._remover)

    async def ledger(
        self, limit: int, offset: int, dataset: str = "", strategy: str = ""
    ) -> Sequence[LedgerEntry]:
        """Return the ledger by dataset and strategy; only those given, where not empty."""
        return await self._read(read_ledger, limit, offset, dataset, strategy)

    async def _write(
        self,
        work: Callable[..., Answer],
        *arguments: Any,
        thread: ThreadPoolExecutor | None = None,
    ) -> Answer:
        def transaction() -> Answer:
            with self._database.writing() as connection:
                return work(connection, *arguments)

        return await self._run(thread or self._writer, work.__name__, transaction)

    async def _read(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        def transaction() -> Answer:
            with self._database.reading() as connection:
                return work(connection, *arguments)

        return await self._run(self._reader, work.__name__, transaction)

    async def _run(
        self, thread: ThreadPoolExecutor, operation: str, transaction: Callable[[], Answer]
    ) -> Answer:
        began, answered = time.monotonic(), True
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, transaction)
        except AssayError as error:
            answered = error.code is not Code.UNAVAILABLE
            raise
        finally:
            if self._observer is not None:
                seconds = time.monotonic() - began
                self._observer.transacted(operation, seconds, answered=answered)


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
