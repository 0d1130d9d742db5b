"""One life of a study: from PENDING, or wherever a process was killed, to a final state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from services.common.errors import AssayError, Code
from services.optimizer.core.events import Clock, EventWriter
from services.optimizer.core.lifecycle import may_become
from services.optimizer.core.ports import StudyRecord, StudyState, StudyStore
from services.optimizer.core.runner import Engagement, Runner, patiently
from services.optimizer.core.tally import Progress
from services.optimizer.core.trial import Trial

logger = logging.getLogger(__name__)


class StudyLife:
    """Owns a study's record while it runs.

    Attributes:
        record: The study as it is stored.
        task: The task it runs in; set by whoever starts it.
    """

    task: asyncio.Task[None]

    def __init__(
        self,
        record: StudyRecord,
        store: StudyStore,
        writer: EventWriter,
        clock: Clock,
        stored: Callable[[str, Sequence[Trial]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.record = record
        self._store = store
        self._writer = writer
        self._clock = clock
        self._stored = stored
        self._notify = notify
        self._runner: Runner | None = None
        self._loaded = asyncio.Event()
        self._stop_wanted = record.state is StudyState.STOPPING
        # One writer of the record at a time: the life itself or a call that stops it.
        self._writing = asyncio.Lock()

    async def live(self, engage: Callable[[StudyRecord], Awaitable[Engagement]]) -> None:
        """Carry the study out; every error ends in FAILED, none is raised."""
        try:
            error = await self._carry_out(engage)
        except AssayError as refused:
            error = refused
        except Exception as defect:  # noqa: BLE001 - the study fails, the service lives
            error = self._defect(defect)
        await self._end(error)

    async def ask_to_stop(self) -> None:
        """Write STOPPING, unless the study has ended, and let the runner know."""
        async with self._writing:
            if self.record.state in {StudyState.PENDING, StudyState.RUNNING}:
                stopping = replace(self.record, state=StudyState.STOPPING)
                await self._write(stopping, self._state_event(stopping))
            if self.record.state is StudyState.STOPPING:
                self._stop_wanted = True
                if self._runner is not None:
                    self._runner.stop.set()

    async def outcome(self) -> tuple[Progress, tuple[Trial, ...]]:
        """Return progress and best trials, as soon as the stored trials are read."""
        await self._loaded.wait()
        if self._runner is None:
            return Progress(0), ()
        return self._runner.progress(), self._runner.tally.best

    async def _carry_out(
        self, engage: Callable[[StudyRecord], Awaitable[Engagement]]
    ) -> AssayError | None:
        try:
            runner = Runner(
                self.record.study_id,
                await engage(self.record),
                self._store,
                self._writer,
                self._clock,
                self._take_note,
            )
            await runner.load()
            self._runner = runner
        finally:
            self._loaded.set()
        async with self._writing:
            if self._stop_wanted:
                runner.stop.set()
            elif self.record.state is StudyState.PENDING:
                now = self._clock.now_ms()
                begun = replace(
                    self.record,
                    state=StudyState.RUNNING,
                    start_time_ms=self.record.start_time_ms or now,
                )
                event = self._state_event(begun)
                await patiently(lambda: self._write(begun, event), self._clock, "store")
        await runner.run()
        return None

    async def _end(self, error: AssayError | None) -> None:
        progress, best = await self.outcome()
        runner = self._runner
        async with self._writing:
            state = StudyState.SUCCEEDED
            if error is not None:
                state = StudyState.FAILED
            elif self.record.state is StudyState.STOPPING:
                state = StudyState.STOPPED
            ended = replace(
                self.record,
                state=state,
                end_time_ms=self._clock.now_ms(),
                error=self._writer.failure(error) if error else b"",
                trials_digest=runner.tally.digest.hexdigest() if runner else "",
                outcome=self._writer.outcome(self.record.study_id, progress, best),
            )
            event = self._writer.study_finished(ended, self._clock.now_ms())
            await patiently(lambda: self._write(ended, event), self._clock, "store")
        logger.info("study.finished", extra={"study": self.record.study_id, "state": state.name})

    async def _write(self, record: StudyRecord, event: bytes) -> None:
        if not may_become(self.record.state, record.state):
            raise RuntimeError(f"{self.record.state.name} cannot become {record.state.name}")
        # The event is made by the caller, once: a retry must not tell it twice.
        await self._store.update(record, [event])
        self.record = record
        self._notify(record.study_id)

    def _state_event(self, record: StudyRecord) -> bytes:
        return self._writer.state_changed(record.state, self._clock.now_ms())

    def _take_note(self, trials: Sequence[Trial]) -> None:
        self._stored(self.record.study_id, trials)
        self._notify(self.record.study_id)

    def _defect(self, error: Exception) -> AssayError:
        identity = f"study:{self.record.study_id}:{self._clock.now_ms()}"
        logger.error("study.defect", extra={"incident": identity}, exc_info=error)
        return AssayError(
            Code.INTERNAL,
            "INTERNAL",
            f"internal error; the service's log has it under {identity}",
            metadata={"request_id": identity},
        )
