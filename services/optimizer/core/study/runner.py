"""The loop of a study: ask a generation, evaluate it, learn from it, store it and tell of it.

What the next generation is depends on the plan and the trials before it, and on nothing else. So
the loop may be ended at any moment and begun again from the store, here or in another process: a
generation that was not stored is asked and evaluated again, with the same result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import Generation, Standing, StudyRecord, StudyState
from services.optimizer.core.study.evaluation import Engagement, Evaluation, Memory
from services.optimizer.core.study.events import Clock, EventWriter, GenerationReport
from services.optimizer.core.study.journal import Entry, Journal
from services.optimizer.core.study.judge import Slot
from services.optimizer.core.study.limits import Limits, StopReason, reason_to_end
from services.optimizer.core.study.parts import parts_of
from services.optimizer.core.study.patience import patiently
from services.optimizer.core.study.tally import Progress, Tally
from services.optimizer.core.trial import Trial
from services.optimizer.core.walk_forward.winners import front_of

LOADED_AT_ONCE: Final = 4_096
"""Trials read together when a study is taken up."""


class Runner:
    """Carries one study out, from its stored trials to its last.

    Attributes:
        stored: What the study has come to, as far as it is stored.
        limits: When it ends; may be changed at any time.
        stop: Set it to end after the generation in hand.
    """

    def __init__(
        self,
        record: StudyRecord,
        engagement: Engagement,
        store: StudyStore,
        writer: EventWriter,
        clock: Clock,
        notify: Callable[[str], None],
    ) -> None:
        """Prepare a run under the record's lease; `notify` is called after each transaction."""
        self._record = record
        self._plan = engagement.plan
        self._search = engagement.search
        self._conclude = engagement.conclude
        self._store = store
        self._writer = writer
        self._clock = clock
        self._notify = notify
        self.stop = asyncio.Event()
        self._journal = Journal(store, record.lease, clock, self._take_note)
        self._evaluation = Evaluation(
            record.study_id, engagement, Memory(store, self._journal), clock, self.stop
        )
        self._began: float | None = None
        self._replayed = 0
        # Finished trials of a generation that is not whole yet.
        self._part: list[Trial] = []
        self._tally = Tally(front_of(self._plan))
        self.stored = self._tally
        self.limits = record.limits if record.limits.trial_count else self._plan.limits

    async def load(self) -> None:
        """Replay the stored trials: the search learns them as it learned them first.

        Raises:
            AssayError: the store refuses; an unreachable one is waited for.
        """
        study_id = self._record.study_id
        size = self._plan.generation_size
        at_once = max(LOADED_AT_ONCE // (size * self._plan.dataset_count), 1) * size
        while True:
            first = self._tally.finished

            async def page(number: int = first) -> Sequence[Trial]:
                return await self._store.trials(study_id, number, at_once)

            trials = await patiently(page, self._clock, "store")
            for place in range(0, len(trials), size):
                await self._learn(trials[place : place + size])
                self._tally = await self._counted(trials[place : place + size])
            if len(trials) < at_once:
                break
        self.stored = self._tally
        self._replayed = self._tally.finished

    async def run(self) -> StopReason | None:
        """Carry the study on to its end; returns why it ended, None when it was stopped before.

        All that has finished is then stored.

        Raises:
            AssayError: the study cannot go on.
            LeaseLostError: another owner has it.
        """
        self._began = self._clock.monotonic()
        while True:
            while (reason := self._reason_to_end()) is None:
                if self.stop.is_set() or not await self._run_generation():
                    break
            await self._journal.flush()
            if reason is None:
                return None
            # What was stored last may have brought limits that leave something to do.
            if (reason := self._reason_to_end()) is not None:
                return reason if await self._concluded() else None

    async def _concluded(self) -> bool:
        """Do what is to be done before the end; False when the study is to stop instead."""
        conclude = self._conclude
        if conclude is None:
            return True
        best = self.stored.best
        work = asyncio.ensure_future(patiently(lambda: conclude(best), self._clock, "workers"))
        stopping = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return False
            work.result()
            return True
        finally:
            work.cancel()
            stopping.cancel()

    async def flush(self) -> None:
        """Wait until all that has finished is stored; see `Journal.flush`."""
        await self._journal.flush()

    @property
    def unsaved_trial_count(self) -> int:
        """Finished trials that are not stored yet."""
        return self._journal.trial_count

    def progress(self, tally: Tally | None = None) -> Progress:
        """Return how far the study is, as stored, or with another tally."""
        tally = tally or self.stored
        total = max(self.limits.trial_count, tally.finished)
        if self._began is None:
            return tally.progress(total, self._record.elapsed_ms)
        seconds = self._clock.monotonic() - self._began
        done = tally.finished - self._replayed
        remaining = round(seconds / done * (total - tally.finished) * 1000) if done else None
        return tally.progress(total, self.elapsed_ms, remaining)

    @property
    def elapsed_ms(self) -> int:
        """Time in RUNNING, summed over all owners."""
        if self._began is None:
            return self._record.elapsed_ms
        return self._record.elapsed_ms + round((self._clock.monotonic() - self._began) * 1000)

    def _reason_to_end(self) -> StopReason | None:
        tally = self._tally
        alone = len(self._plan.objectives) == 1
        # The stop rule is looked at after whole generations alone: one that an earlier limit has
        # cut short is completed first, as it would have been without that limit.
        return reason_to_end(
            Limits(self.limits.trial_count) if self._part else self.limits,
            finished=tally.finished,
            unchanged=tally.unchanged,
            best_value=tally.best[0].objective_values[0] if alone and tally.best else None,
            maximize=self._plan.objectives[0].maximize,
            elapsed_ms=self.elapsed_ms,
        )

    async def _run_generation(self) -> bool:
        """Run a generation, or what a lower limit left of it; False when a stop lost patience."""
        size, first = self._plan.generation_size, self._tally.finished
        number, done = divmod(first, size)
        count = min(size, self.limits.trial_count - number * size)
        start_time_ms = self._clock.now_ms()
        points = (await asyncio.to_thread(self._search.ask, number, count))[done:]
        if len(points) != count - done:
            raise RuntimeError(f"the search gave {len(points)} points, not {count - done}")
        trials = await self._evaluation.trials(points, Slot(first, number, start_time_ms))
        if trials is None:
            return False
        await self._learn(trials)
        await self._keep(trials)
        return True

    async def _learn(self, trials: Sequence[Trial]) -> None:
        """Remember trials; the search and the pruner learn them once their generation is whole."""
        self._evaluation.remember(trials)
        self._part += trials
        if len(self._part) < self._plan.generation_size:
            return
        generation, self._part = self._part, []
        await asyncio.to_thread(self._search.tell, generation)
        self._evaluation.tell(generation)

    async def _keep(self, trials: Sequence[Trial]) -> None:
        """Count a generation and send it to the store."""
        self._tally = await self._counted(trials)
        event = self._writer.generation_finished(self._report(self._tally, trials))
        await self._journal.put(Entry(Generation(trials, [event]), self._tally, self.elapsed_ms))

    async def _counted(self, trials: Sequence[Trial]) -> Tally:
        """Return the tally with trials; others get their turns meanwhile."""
        tally = self._tally
        for part in parts_of(trials):
            tally = tally.with_trials(part)
            await asyncio.sleep(0)
        return tally

    def _take_note(self, entries: Sequence[Entry], standing: Standing) -> None:
        """Note what is stored, and what others have changed meanwhile."""
        self.stored = entries[-1].tally
        self.heed(standing)
        self._notify(self._record.study_id)

    def heed(self, standing: Standing) -> None:
        """Mind a stop that was asked for, and the limits of now."""
        if standing.limits.trial_count:
            self.limits = standing.limits
        if standing.state is StudyState.STOPPING:
            self.stop.set()

    def _report(self, tally: Tally, trials: Sequence[Trial]) -> GenerationReport:
        return GenerationReport(
            study_id=self._record.study_id,
            generation_number=trials[0].generation_number,
            progress=self.progress(tally),
            best=tally.best,
            improved=bool(tally.best) and tally.best[0].number >= trials[0].number,
            time_ms=trials[0].end_time_ms,
        )
