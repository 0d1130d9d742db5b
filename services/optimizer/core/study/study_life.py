"""One life of a study under one owner: up to a final state, or to a lost lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.common.errors import AssayError, Code
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import LeaseLostError, Standing, StudyRecord, StudyState
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.events import Clock, EventWriter
from services.optimizer.core.study.limits import StopReason
from services.optimizer.core.study.patience import patiently
from services.optimizer.core.study.runner import Runner
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Trial

logger = logging.getLogger(__name__)

Engage = Callable[[StudyRecord], Awaitable[Engagement]]
"""Makes plan, search and workers of a stored study; the same record always gives the same."""


class StudyLife:
    """Carries a claimed study out. Whoever has a later lease ends it without a word.

    Attributes:
        record: The study as this owner last wrote it.
        task: The task it runs in; set by whoever starts it.
    """

    task: asyncio.Task[None]

    def __init__(
        self,
        record: StudyRecord,
        store: StudyStore,
        writer: EventWriter,
        clock: Clock,
        notify: Callable[[str], None],
    ) -> None:
        self.record = record
        self._store = store
        self._writer = writer
        self._clock = clock
        self._notify = notify
        self._runner: Runner | None = None
        self._standing = Standing(record.state, record.limits)

    async def live(self, engage: Engage) -> None:
        """Carry the study out; every error but a lost lease ends in FAILED.

        Raises:
            LeaseLostError: another owner has the study; nothing was written since.
        """
        reason: StopReason | None = None
        error: AssayError | None = None
        try:
            reason = await self._carry_out(engage)
        except LeaseLostError:
            raise
        except AssayError as refused:
            error = refused
        except Exception as defect:  # noqa: BLE001 - the study fails, the service lives
            error = self._defect(defect)
        await self._end(reason, error)

    def heed(self, standing: Standing) -> None:
        """Mind what others have changed: a stop, the limits."""
        self._standing = standing
        if self._runner is not None:
            self._runner.heed(standing)

    @property
    def outcome(self) -> tuple[Progress, tuple[Trial, ...]] | None:
        """Progress and best trials as stored; None until the stored trials are read."""
        if self._runner is None:
            return None
        return self._runner.progress(), self._runner.stored.best

    @property
    def unsaved_trial_count(self) -> int:
        """Finished trials that are not stored yet."""
        return self._runner.unsaved_trial_count if self._runner else 0

    async def save(self) -> None:
        """Wait until all that has finished is stored."""
        if self._runner is not None:
            await self._runner.flush()

    async def _carry_out(self, engage: Engage) -> StopReason | None:
        runner = Runner(
            self.record,
            await patiently(lambda: engage(self.record), self._clock, "store"),
            self._store,
            self._writer,
            self._clock,
            self._notify,
        )
        await runner.load()
        self._runner = runner
        runner.heed(self._standing)
        if self.record.state is StudyState.PENDING:
            await self._begin(runner)
        return await runner.run()

    async def _begin(self, runner: Runner) -> None:
        """Write RUNNING, unless somebody has asked the study to stop meanwhile."""
        begun = replace(
            self.record,
            state=StudyState.RUNNING,
            start_time_ms=self.record.start_time_ms or self._clock.now_ms(),
        )
        event = self._writer.state_changed(begun.state, self._clock.now_ms())
        if not await self._write(begun, event, {StudyState.PENDING}):
            runner.stop.set()

    async def _end(self, reason: StopReason | None, error: AssayError | None) -> None:
        runner = self._runner
        if error is not None and runner is not None:
            await self._keep_finished(runner)
        progress, best = self.outcome or (Progress(0), ())
        limits = runner.limits if runner else self.record.limits
        outcome = self._writer.outcome(self.record.study_id, progress, best, limits)
        ended = replace(
            self.record,
            end_time_ms=self._clock.now_ms(),
            error=self._writer.failure(error) if error else b"",
            trials_digest=runner.stored.digest.hexdigest() if runner else "",
            # Where the stored trials could not even be read, their events tell of them.
            outcome=outcome if runner else b"",
            elapsed_ms=progress.elapsed_ms,
            limits=limits,
        )
        if error is not None:
            await self._finish(replace(ended, state=StudyState.FAILED), _LIVING)
        elif reason is None or not await self._finish(
            replace(ended, state=StudyState.SUCCEEDED, stop_reason=reason.name),
            _LIVING - {StudyState.STOPPING},
        ):
            # Asked to stop, perhaps only while the end was being written.
            await self._finish(replace(ended, state=StudyState.STOPPED), _LIVING)

    async def _keep_finished(self, runner: Runner) -> None:
        """Store what has finished before a failure, unless storing is what fails."""
        try:
            await runner.flush()
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the study ends for it
            logger.warning(
                "study.unsaved", extra={"study": self.record.study_id, "error": repr(error)}
            )

    async def _finish(self, ended: StudyRecord, expected: frozenset[StudyState]) -> bool:
        event = self._writer.study_finished(ended, self._clock.now_ms())
        written = await self._write(ended, event, expected)
        if written:
            logger.info(
                "study.finished", extra={"study": ended.study_id, "state": ended.state.name}
            )
        return written

    async def _write(
        self, record: StudyRecord, event: bytes, expected: frozenset[StudyState] | set[StudyState]
    ) -> bool:
        # The event is made by the caller, once: a retry must not tell it twice.
        written = await patiently(
            lambda: self._store.update(record, [event], expected, self.record.lease),
            self._clock,
            "store",
        )
        if written:
            self.record = record
            self._notify(record.study_id)
        return written

    def _defect(self, error: Exception) -> AssayError:
        identity = f"study:{self.record.study_id}:{self._clock.now_ms()}"
        logger.error("study.defect", extra={"incident": identity}, exc_info=error)
        return AssayError(
            Code.INTERNAL,
            "INTERNAL",
            f"internal error; the service's log has it under {identity}",
            metadata={"request_id": identity},
        )


_LIVING = frozenset({StudyState.PENDING, StudyState.RUNNING, StudyState.STOPPING})
