"""How a generation's points become trials: tried before, run anew, or given up at a rung."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from services.optimizer.core.ports import Search, Workers
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.dataset_judging import joined, judged_over_datasets
from services.optimizer.core.study.dataset_runs import outcomes_over_datasets
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.judge import Slot, again, judged
from services.optimizer.core.study.parts import PART_TRIALS
from services.optimizer.core.study.patience import patiently
from services.optimizer.core.study.pruning import Pruner
from services.optimizer.core.study.reuse import TriedPoints, firsts_of
from services.optimizer.core.study.rungs import outcomes_over_rungs
from services.optimizer.core.study.window_runs import Windows, outcomes_over_windows
from services.optimizer.core.trial import Outcome, Point, Trial

STOP_PATIENCE_SECONDS: Final = 30.0
"""How long a stop waits for the generation in hand. Without workers it would never end; given up,
it is asked again on resume."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """A study's plan with those who carry it out.

    Attributes:
        plan: The plan.
        search: Proposes its points.
        workers: Evaluate them.
        conclude: What is to be done once with the best trials before the study has succeeded; what
            it raises fails the study. None: nothing.
    """

    plan: StudyPlan
    search: Search
    workers: Workers
    conclude: Callable[[Sequence[Trial]], Awaitable[None]] | None = None


class Kept(Protocol):
    """Where trials are kept; a `StudyStore` is one."""

    async def trials_numbered(self, study_id: str, numbers: Sequence[int]) -> Sequence[Trial]:
        """Return the trials with these numbers, in this order; those there are none of left out."""


class Recent(Protocol):
    """Where the newest trials are; a `Journal` is one."""

    def trial(self, number: int) -> Trial | None:
        """Return a trial, or None where it is no longer here."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Where a study's earlier trials are: in the store, or on their way there."""

    store: Kept
    journal: Recent


class Evaluation:
    """Tries the points of one study out."""

    def __init__(
        self,
        study_id: str,
        engagement: Engagement,
        memory: Memory,
        clock: Clock,
        stop: asyncio.Event,
    ) -> None:
        """Prepare; once `stop` is set, workers are waited for only so long."""
        self._study_id = study_id
        self._plan = plan = engagement.plan
        self._workers = engagement.workers
        self._memory = memory
        self._clock = clock
        self._stop = stop
        # A grid holds no point twice.
        finite = plan.search in {SearchKind.GRID, SearchKind.BRUTE_FORCE}
        self._tried = None if finite else TriedPoints()
        self._pruner = None
        if plan.pruning is not None:
            self._pruner = Pruner(plan.pruning, maximize=plan.objectives[0].maximize)

    def remember(self, trials: Sequence[Trial]) -> None:
        """Remember at which points trials were."""
        if self._tried is not None:
            self._tried.add(trials)

    def tell(self, generation: Sequence[Trial]) -> None:
        """Let the pruner learn a whole generation."""
        if self._pruner is not None:
            self._pruner.tell(generation)

    async def trials(self, points: Sequence[Point], first: Slot) -> list[Trial] | None:
        """Return the trials of points, the first one in a slot and the others behind it.

        None when a stop lost patience with the workers.

        Raises:
            AssayError: the points cannot be run.
        """
        windows = [self._plan.window_of(first.number + place) for place in range(len(points))]
        earlier = await self._earlier(points, windows)
        firsts = firsts_of(points, windows) if self._tried is not None else range(len(points))
        fresh = [place for place, at in enumerate(firsts) if at == place and place not in earlier]
        outcomes = await self._outcomes(
            [points[place] for place in fresh], [windows[place] for place in fresh]
        )
        if outcomes is None:
            return None
        found = dict(zip(fresh, outcomes, strict=True))
        end_time_ms = self._clock.now_ms()
        trials: list[Trial] = []
        judge = judged if self._plan.aggregation is None else judged_over_datasets
        for place, point in enumerate(points):
            if place % PART_TRIALS == 0:
                await asyncio.sleep(0)
            slot = replace(first, number=first.number + place, end_time_ms=end_time_ms)
            if place in found:
                trials.append(judge(self._plan, slot, point, found[place]))
            else:
                trials.append(again(earlier.get(place) or trials[firsts[place]], slot))
        return trials

    async def _earlier(self, points: Sequence[Point], windows: Windows) -> dict[int, Trial]:
        """Return the earlier trials at points that were tried before, by place."""
        if self._tried is None:
            return {}
        numbers = {
            place: number
            for place, point in enumerate(points)
            if (number := self._tried.number_of(point, windows[place])) is not None
        }
        known = {number: self._memory.journal.trial(number) for number in numbers.values()}
        missing = [number for number, trial in known.items() if trial is None]
        if missing:
            stored = await patiently(
                lambda: self._memory.store.trials_numbered(self._study_id, missing),
                self._clock,
                "store",
            )
            known.update((trial.number, trial) for trial in stored)
        return {place: trial for place, number in numbers.items() if (trial := known[number])}

    async def _outcomes(self, points: Sequence[Point], windows: Windows) -> list[Outcome] | None:
        """Return the outcomes; None when a stop lost patience with the workers."""
        if not points:
            return []
        work = asyncio.ensure_future(self._run(points, windows))
        stopping = asyncio.ensure_future(self._stopped_for_long())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            work.cancel()
            stopping.cancel()

    async def _run(self, points: Sequence[Point], windows: Windows) -> list[Outcome]:
        if self._plan.walk_forward is not None:
            return await outcomes_over_windows(points, windows, self._run_window)
        if self._plan.aggregation is not None:
            count = self._plan.dataset_count
            found = await outcomes_over_datasets(points, count, self._run_dataset)
            return [joined(self._plan, *pair) for pair in zip(points, found, strict=True)]
        if self._pruner is None:
            return await self._run_bars(points, None)
        objective = self._plan.objectives[0]
        return await outcomes_over_rungs(points, self._run_bars, objective, self._pruner)

    async def _run_bars(self, points: Sequence[Point], bar_limit: int | None) -> list[Outcome]:
        return await patiently(
            lambda: self._workers.evaluate(points, bar_limit), self._clock, "workers"
        )

    async def _run_window(
        self, points: Sequence[Point], window_number: int | None
    ) -> list[Outcome]:
        return await patiently(
            lambda: self._workers.evaluate(points, window_number=window_number),
            self._clock,
            "workers",
        )

    async def _run_dataset(
        self, points: Sequence[Point], dataset_number: int | None
    ) -> list[Outcome]:
        return await patiently(
            lambda: self._workers.evaluate(points, dataset_number=dataset_number),
            self._clock,
            "workers",
        )

    async def _stopped_for_long(self) -> None:
        await self._stop.wait()
        await self._clock.sleep(STOP_PATIENCE_SECONDS)
