"""The studies of this process: who runs, who is asked to stop, who is watching.

The store holds the truth; what is here is lost with the process and made again from the store.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from services.common.errors import AssayError, unavailable, unknown
from services.optimizer.core.events import Clock, EventWriter
from services.optimizer.core.lifecycle import FINAL_STATES, may_become, state_wrong
from services.optimizer.core.ports import StudyRecord, StudyState, StudyStore
from services.optimizer.core.runner import Engagement
from services.optimizer.core.study_life import StudyLife
from services.optimizer.core.tally import Progress
from services.optimizer.core.trial import Trial
from services.optimizer.core.trial_cache import TrialCache

logger = logging.getLogger(__name__)

EVENT_PAGE: Final = 256
RECORD_PAGE: Final = 1_000
STORE_PATIENCE_SECONDS: Final = 10.0
"""How long a caller waits for what a store that does not answer holds up."""

Engage = Callable[[StudyRecord], Awaitable[Engagement]]
"""Makes plan, search and workers of a stored study; the same record always gives the same."""

T = TypeVar("T")


class Supervisor:
    """Starts, stops, resumes, deletes and watches studies."""

    def __init__(
        self,
        store: StudyStore,
        engage: Engage,
        writer: EventWriter,
        clock: Clock,
        trials: TrialCache,
    ) -> None:
        self._store = store
        self._engage = engage
        self._writer = writer
        self._clock = clock
        self._trials = trials
        self._lives: dict[str, StudyLife] = {}
        # Alive as long as somebody watches.
        self._signals: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        # Resuming and deleting look first and act then: one at a time.
        self._turn = asyncio.Lock()
        self._closing = False

    async def take_up(self) -> None:
        """Go on with every study an earlier process left unfinished."""
        unfinished: list[StudyRecord] = []
        for state in (StudyState.PENDING, StudyState.RUNNING, StudyState.STOPPING):
            offset = 0
            while records := await self._store.list(RECORD_PAGE, offset, state):
                offset += len(records)
                unfinished += records
        # Only now, since what runs moves from list to list. Oldest first.
        for record in reversed(unfinished):
            logger.info("study.taken_up", extra={"study": record.study_id})
            self.start(record)

    def start(self, record: StudyRecord) -> None:
        """Begin a life of a stored study; nothing where it lives or the service drains."""
        if self._closing or record.study_id in self._lives:
            return
        life = StudyLife(
            record, self._store, self._writer, self._clock, self._trials.extend, self._notify
        )
        self._lives[record.study_id] = life
        # A context of its own: the deadline of the call that started it is not the study's.
        task = asyncio.get_running_loop().create_task(
            self._live(life), context=contextvars.Context()
        )
        life.task = task

    async def record(self, study_id: str) -> StudyRecord:
        """Return a study.

        Begins a life it should have: where a store fails, studies are stored without anybody
        hearing of it.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
        """
        life = self._lives.get(study_id)
        record = life.record if life else await self._store.get(study_id)
        if record is None:
            raise await self._unknown(study_id)
        if record.state not in FINAL_STATES:
            self.start(record)
        return record

    async def outcome(self, study_id: str) -> tuple[Progress, tuple[Trial, ...]] | None:
        """Return progress and best trials of a study that lives now; None for others.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN; UNAVAILABLE/STORE_UNAVAILABLE while its trials
                cannot be read.
        """
        await self.record(study_id)
        life = self._lives.get(study_id)
        return await _promptly(life.outcome()) if life else None

    async def stop(self, study_id: str) -> StudyRecord:
        """Ask a study to stop; returns it as it is then."""
        await self.record(study_id)
        life = self._lives.get(study_id)
        if life is not None:
            await _promptly(asyncio.shield(life.ask_to_stop()))
        record = await self.record(study_id)
        if record.state in {StudyState.SUCCEEDED, StudyState.FAILED}:
            raise state_wrong(study_id, record.state, "be stopped")
        if record.state in {StudyState.PENDING, StudyState.RUNNING}:
            raise unavailable("STORE_UNAVAILABLE", "the service is draining; ask again")
        return record

    async def resume(self, study_id: str) -> StudyRecord:
        """Go on with a stopped or failed study; returns it as it is then."""
        # What is stored must also begin, even when the caller has gone.
        return await _promptly(asyncio.shield(self._resume(study_id)))

    async def _resume(self, study_id: str) -> StudyRecord:
        async with self._turn:
            record = await self.record(study_id)
            if record.state in {StudyState.PENDING, StudyState.RUNNING}:
                return record
            if not may_become(record.state, StudyState.PENDING):
                raise state_wrong(study_id, record.state, "be resumed")
            await self._settled(study_id)
            record = replace(
                record,
                state=StudyState.PENDING,
                end_time_ms=None,
                error=b"",
                trials_digest="",
                outcome=b"",
            )
            event = self._writer.state_changed(StudyState.PENDING, self._clock.now_ms())
            await self._store.update(record, [event])
            self.start(record)
            self._notify(study_id)
            return record

    async def delete(self, study_id: str) -> None:
        """Delete a study that does not run."""
        await _promptly(asyncio.shield(self._delete(study_id)))

    async def _delete(self, study_id: str) -> None:
        async with self._turn:
            record = await self.record(study_id)
            if record.state not in FINAL_STATES:
                raise state_wrong(study_id, record.state, "be deleted before it is stopped")
            await self._settled(study_id)
            if not await self._store.delete(study_id):
                raise await self._unknown(study_id)
            self._trials.forget(study_id)
            self._notify(study_id)

    async def watch(self, study_id: str, after_number: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the study's numbered events after a number, old and new, until it is finished.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN; UNAVAILABLE/STORE_UNAVAILABLE when the service
                drains.
        """
        seen = after_number
        while True:
            if self._closing:
                raise unavailable("STORE_UNAVAILABLE", "the service is draining; watch again")
            # In this order: what happens after the signal is taken wakes this watcher.
            signal = self._signals.setdefault(study_id, asyncio.Event())
            record = await self.record(study_id)
            finished = True
            while events := await self._store.events(study_id, seen, EVENT_PAGE):
                seen = events[-1][0]
                for number, event in events:
                    yield number, event
                    finished = self._writer.is_study_finished(event)
            if record.state in FINAL_STATES and finished:
                return
            await signal.wait()

    def release_watchers(self) -> None:
        """End all watches: the service drains, and they would keep it from ending."""
        self._closing = True
        for study_id in list(self._signals):
            self._notify(study_id)

    async def close(self) -> None:
        """End all lives where they stand, and all watches; another process may take them up."""
        self.release_watchers()
        for life in self._lives.values():
            life.task.cancel()
        await asyncio.gather(*(life.task for life in self._lives.values()), return_exceptions=True)

    async def _settled(self, study_id: str) -> None:
        """Wait until the life that wrote a final state is gone."""
        life = self._lives.get(study_id)
        if life is not None:
            await asyncio.wait({life.task})

    async def _live(self, life: StudyLife) -> None:
        try:
            await life.live(self._engage)
        except Exception:
            # The store refused the end itself: the study is taken up when somebody asks for it.
            logger.exception("study.lost", extra={"study": life.record.study_id})
        finally:
            del self._lives[life.record.study_id]
            self._notify(life.record.study_id)

    async def _unknown(self, study_id: str) -> AssayError:
        known = [record.study_id for record in await self._store.list(RECORD_PAGE, 0, None)]
        return unknown("study", study_id, known, "STUDY_UNKNOWN")

    def _notify(self, study_id: str) -> None:
        signal = self._signals.pop(study_id, None)
        if signal is not None:
            signal.set()


async def _promptly(work: Awaitable[T]) -> T:
    """Await what may wait for the store; UNAVAILABLE/STORE_UNAVAILABLE when that takes long."""
    try:
        return await asyncio.wait_for(work, STORE_PATIENCE_SECONDS)
    except TimeoutError:
        raise unavailable("STORE_UNAVAILABLE", "the study store does not answer") from None
