"""The loop of a study: ask a generation, evaluate it, store it, learn from it, tell of it.

What the next generation is depends on the plan and the trials stored before it, and on nothing
else. So the loop may be ended at any moment and begun again from the store: a generation in hand
that was not stored is asked and evaluated again, with the same result.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from services.common.errors import AssayError, Code
from services.optimizer.core.events import Clock, EventWriter, GenerationReport
from services.optimizer.core.judge import Slot, judged
from services.optimizer.core.objectives import Front
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.ports import Search, StudyStore, Workers
from services.optimizer.core.tally import Progress, Tally, generations_of, tally_of
from services.optimizer.core.trial import Outcome, Point, Trial

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS: Final = 0.2
LONGEST_RETRY_SECONDS: Final = 10.0
STOP_PATIENCE_SECONDS: Final = 30.0
"""How long a stop waits for the generation in hand. Without workers it would never end; given up,
it is asked again on resume."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Engagement:
    """A study's plan with those who carry it out."""

    plan: StudyPlan
    search: Search
    workers: Workers


async def patiently(call: Callable[[], Awaitable[T]], clock: Clock, what: str) -> T:
    """Await a call, again and again while it is UNAVAILABLE, with growing pauses.

    Raises:
        AssayError: any other the call raises.
    """
    pause = FIRST_RETRY_SECONDS
    while True:
        try:
            return await call()
        except AssayError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            logger.warning("study.waiting", extra={"for": what, "reason": error.reason})
        await clock.sleep(pause)
        pause = min(2 * pause, LONGEST_RETRY_SECONDS)


class Runner:
    """Carries one study out, from its stored trials to its last.

    Attributes:
        tally: What the study has come to, as far as it is stored.
        stop: Set it to end after the generation in hand.
    """

    def __init__(
        self,
        study_id: str,
        engagement: Engagement,
        store: StudyStore,
        writer: EventWriter,
        clock: Clock,
        stored: Callable[[Sequence[Trial]], None],
    ) -> None:
        """Prepare a run; `stored` is called after each generation with its trials."""
        self._study_id = study_id
        self._plan = engagement.plan
        self._search = engagement.search
        self._workers = engagement.workers
        self._store = store
        self._writer = writer
        self._clock = clock
        self._stored = stored
        self._began: float | None = None
        self._replayed = 0
        self.tally = Tally(Front(self._plan.objectives))
        self.stop = asyncio.Event()

    async def load(self) -> None:
        """Replay the stored trials: the search learns them as it learned them first.

        Raises:
            AssayError: the store refuses; an unreachable one is waited for.
        """
        trials = await patiently(lambda: self._store.trials(self._study_id), self._clock, "store")
        for generation in generations_of(trials, self._plan):
            await asyncio.to_thread(self._search.tell, generation)
        self.tally = tally_of(trials, self._plan)
        self._replayed = len(trials)

    async def run(self) -> bool:
        """Finish the study; False when it was stopped before.

        Raises:
            AssayError: the study cannot go on.
        """
        self._began = self._clock.monotonic()
        while self.tally.finished < self._plan.trial_count:
            if self.stop.is_set() or not await self._run_generation():
                return False
        return True

    def progress(self, tally: Tally | None = None) -> Progress:
        """Return how far the study is, or will be with another tally."""
        tally = tally or self.tally
        total = self._plan.trial_count
        if self._began is None:
            return tally.progress(total)
        elapsed = self._clock.monotonic() - self._began
        done = tally.finished - self._replayed
        remaining = round(elapsed / done * (total - tally.finished) * 1000) if done else None
        return tally.progress(total, round(elapsed * 1000), remaining)

    async def _run_generation(self) -> bool:
        number, first = self.tally.generations, self.tally.finished
        count = min(self._plan.generation_size, self._plan.trial_count - first)
        start_time_ms = self._clock.now_ms()
        points = await asyncio.to_thread(self._search.ask, number, count)
        if len(points) != count:
            raise RuntimeError(f"the search gave {len(points)} points, not {count}")
        outcomes = await self._evaluate(points)
        if outcomes is None:
            return False
        end_time_ms = self._clock.now_ms()
        trials = [
            judged(
                self._plan, Slot(first + index, number, start_time_ms, end_time_ms), point, outcome
            )
            for index, (point, outcome) in enumerate(zip(points, outcomes, strict=True))
        ]
        await self._keep(trials)
        return True

    async def _keep(self, trials: Sequence[Trial]) -> None:
        """Store a generation, then count and learn it."""
        tally = self.tally.with_generation(trials)
        event = self._writer.generation_finished(self._report(tally, trials))
        await patiently(
            lambda: self._store.append_generation(self._study_id, trials, [event]),
            self._clock,
            "store",
        )
        self.tally = tally
        self._stored(trials)
        await asyncio.to_thread(self._search.tell, trials)

    async def _evaluate(self, points: Sequence[Point]) -> list[Outcome] | None:
        """Return the outcomes; None when a stop lost patience with the workers."""
        work = asyncio.ensure_future(
            patiently(lambda: self._workers.evaluate(points), self._clock, "workers")
        )
        stopping = asyncio.ensure_future(self._stopped_for_long())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            work.cancel()
            stopping.cancel()

    async def _stopped_for_long(self) -> None:
        await self.stop.wait()
        await self._clock.sleep(STOP_PATIENCE_SECONDS)

    def _report(self, tally: Tally, trials: Sequence[Trial]) -> GenerationReport:
        return GenerationReport(
            study_id=self._study_id,
            generation_number=trials[0].generation_number,
            progress=self.progress(tally),
            best=tally.best,
            improved=bool(tally.best) and tally.best[0].number >= trials[0].number,
            time_ms=trials[0].end_time_ms,
        )
