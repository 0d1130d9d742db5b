"""What callers can do with studies, on whichever replica they ask.

The store holds the truth. A study that lives here hears of a change at once, one that lives in
another replica with its owner's next look at the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Final, TypeVar

from services.common.errors import AssayError, unavailable, unknown
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import Standing, StudyRecord, StudyState
from services.optimizer.core.study.events import Clock, EventWriter
from services.optimizer.core.study.lifecycle import FINAL_STATES, may_become, state_wrong
from services.optimizer.core.study.limits import Limits, StopReason
from services.optimizer.core.study.ownership import Ownership, Replica
from services.optimizer.core.study.study_life import Engage
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.study.watching import Watches
from services.optimizer.core.trial import Trial

RECORD_PAGE: Final = 1_000
STORE_PATIENCE_SECONDS: Final = 10.0
"""How long a caller waits for what a store that does not answer holds up."""

T = TypeVar("T")


class Supervisor:
    """Stops, resumes, limits, deletes and watches studies; runs those this replica owns."""

    def __init__(
        self,
        store: StudyStore,
        engage: Engage,
        writer: EventWriter,
        clock: Clock,
        replica: Replica,
    ) -> None:
        self._store = store
        self._caller_limit = replica.caller_limit
        self._writer = writer
        self._clock = clock
        self._ownership = Ownership(replica, store, engage, writer, clock, self._notify)
        self._watches = Watches(store, self.record, writer, clock, self._ownership.lives)

    @property
    def ownership(self) -> Ownership:
        """The studies that live here."""
        return self._ownership

    def begin(self) -> None:
        """Begin to claim studies, those an earlier process left unfinished among them."""
        self._ownership.begin()

    def wake(self) -> None:
        """Look for studies to claim now: one was stored."""
        self._ownership.wake()

    async def record(self, study_id: str) -> StudyRecord:
        """Return a study.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
        """
        record = await self._store.get(study_id)
        if record is None:
            raise await self._unknown(study_id)
        return record

    def outcome(self, study_id: str) -> tuple[Progress, tuple[Trial, ...]] | None:
        """Return progress and best trials of a study that lives here and has read its trials.

        None for others: reading many trials takes a while, in which the store tells as much.
        """
        life = self._ownership.lives.get(study_id)
        return life.outcome if life else None

    async def stop(self, study_id: str) -> StudyRecord:
        """Ask a study to stop; returns it as it is then."""
        # What is stored must also be heeded, even when the caller has gone.
        return await _promptly(asyncio.shield(self._stop(study_id)))

    async def _stop(self, study_id: str) -> StudyRecord:
        while True:
            record = await self.record(study_id)
            if record.state in {StudyState.SUCCEEDED, StudyState.FAILED}:
                raise state_wrong(study_id, record.state, "be stopped")
            if record.state in {StudyState.STOPPED, StudyState.STOPPING}:
                return record
            stopping = replace(record, state=StudyState.STOPPING)
            if await self._changed(record, stopping):
                life = self._ownership.lives.get(study_id)
                if life is not None:
                    life.heed(Standing(StudyState.STOPPING, record.limits))
                else:
                    # Where it only waits for an owner, it need not wait for one to end.
                    await self._ownership.claim(study_id)
                return stopping

    async def resume(self, study_id: str) -> StudyRecord:
        """Go on with an ended study that has something left to do; returns it as it is then.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN, FAILED_PRECONDITION/STUDY_STATE_WRONG,
                RESOURCE_EXHAUSTED/TOO_MANY_STUDIES.
        """
        return await _promptly(asyncio.shield(self._resume(study_id)))

    async def _resume(self, study_id: str) -> StudyRecord:
        while True:
            record = await self.record(study_id)
            if record.state in {StudyState.PENDING, StudyState.RUNNING}:
                return record
            if not may_become(record.state, StudyState.PENDING) or await self._is_whole(record):
                raise state_wrong(study_id, record.state, "be resumed")
            pending = replace(
                record,
                state=StudyState.PENDING,
                end_time_ms=None,
                error=b"",
                trials_digest="",
                outcome=b"",
                stop_reason="",
            )
            if await self._changed(record, pending):
                self.wake()
                return pending

    async def set_limits(self, study_id: str, limits: Limits) -> StudyRecord:
        """Change a study's limits, whatever its state; returns it as it is then.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
        """
        record = await _promptly(self._store.set_limits(study_id, limits))
        life = self._ownership.lives.get(study_id)
        if life is not None:
            life.heed(Standing(record.state, record.limits))
        return record

    async def delete(self, study_id: str) -> None:
        """Delete a study that does not run."""
        await _promptly(asyncio.shield(self._delete(study_id)))

    async def _delete(self, study_id: str) -> None:
        record = await self.record(study_id)
        if record.state not in FINAL_STATES:
            raise state_wrong(study_id, record.state, "be deleted before it is stopped")
        if not await self._store.delete(study_id):
            # Gone, or resumed, since.
            record = await self.record(study_id)
            raise state_wrong(study_id, record.state, "be deleted before it is stopped")
        self._notify(study_id)

    def watch(self, study_id: str, after_number: int) -> AsyncIterator[tuple[int, bytes]]:
        """Return the study's numbered events after a number, old and new, until it is finished.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN; UNAVAILABLE/STORE_UNAVAILABLE when the service
                drains.
        """
        return self._watches.watch(study_id, after_number)

    def release_watchers(self) -> None:
        """End all watches: the service drains, and they would keep it from ending."""
        self._watches.release()

    async def close(self) -> None:
        """End all lives where they stand, and all watches; other replicas take the studies up."""
        await self._watches.close()
        await self._ownership.close()

    async def _changed(self, record: StudyRecord, wanted: StudyRecord) -> bool:
        """Write a caller's change of state; False when the state has changed meanwhile."""
        event = self._writer.state_changed(wanted.state, self._clock.now_ms())
        written = await self._store.update(
            wanted, [event], {record.state}, None, self._caller_limit
        )
        if written:
            self._notify(record.study_id)
        return written

    async def _is_whole(self, record: StudyRecord) -> bool:
        """Whether a study has succeeded and nothing is left to do.

        Under the limits of then it ends again at once, whichever of them ended it.
        """
        if record.state is not StudyState.SUCCEEDED:
            return False
        count = record.limits.trial_count
        if not count or self._writer.ended_under(record.outcome) == record.limits:
            return True
        return record.stop_reason == StopReason.TRIAL_COUNT.name and bool(
            await self._store.trials(record.study_id, count - 1, 1)
        )

    async def _unknown(self, study_id: str) -> AssayError:
        known = [record.study_id for record in await self._store.list(RECORD_PAGE, 0, None)]
        return unknown("study", study_id, known, "STUDY_UNKNOWN")

    def _notify(self, study_id: str) -> None:
        self._watches.wake(study_id)


async def _promptly(work: Awaitable[T]) -> T:
    """Await what may wait for the store; UNAVAILABLE/STORE_UNAVAILABLE when that takes long."""
    try:
        return await asyncio.wait_for(work, STORE_PATIENCE_SECONDS)
    except TimeoutError:
        raise unavailable("STORE_UNAVAILABLE", "the study store does not answer") from None
