"""The best trial under stress: what workers are asked for it, remembered per study."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from assay.backtest.v1 import stress_pb2
from assay.optimizer.v1 import stress_pb2 as report_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.stress import (
    Permuted,
    is_wanted,
    stress_message,
    stress_request,
)
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.searches.seeds import SEED_LIMIT, draw
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.rehearsal import rehearse
from services.optimizer.core.trial import Trial
from services.optimizer.servicer.collaborators import Backtests, EngagePermuted

CAPACITY: Final = 16
"""Studies remembered: some kilobytes each."""

_SEARCHES_AT_ONCE: Final = 2
"""A worker keeps a few permuted markets of a snapshot at a time."""

_PARTS_KEPT: Final = 8
"""Answers to different parts remembered of a study."""


@dataclass(slots=True)
class _Found:
    """What is known of a study: answers by parts, best objectives by permuted market."""

    answers: OrderedDict[bytes, stress_pb2.RunStressTestResponse] = field(
        default_factory=OrderedDict
    )
    best_values: dict[int, float | None] = field(default_factory=dict)


class StressRuns:
    """Puts best trials under stress; runs what it has not yet seen of a study."""

    def __init__(
        self,
        backtests: Backtests,
        engage_permuted: EngagePermuted,
        clock: Clock,
        capacity: int = CAPACITY,
    ) -> None:
        self._backtests = backtests
        self._engage = engage_permuted
        self._clock = clock
        self._capacity = capacity
        self._held: OrderedDict[tuple[str, int, int], _Found] = OrderedDict()

    async def stress(
        self,
        options: report_pb2.StressOptions,
        record: StudyRecord,
        plan: StudyPlan,
        trial_count: int,
        best: Trial | None,
    ) -> report_pb2.StressReport | None:
        """Return how the best of so many trials stands up to worse conditions.

        None where it is not wanted or not told: without a feasible trial, for several objectives or
        datasets, with a walk forward.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        spec = study_pb2.StudySpec.FromString(record.spec)
        told = len(plan.objectives) == 1 and plan.walk_forward is None and len(spec.data) == 1
        if best is None or not told or not is_wanted(options):
            return None
        found = self._of((record.study_id, record.create_time_ms, trial_count))
        answer = await self._answer(found, spec, plan, best, options.parts)
        permuted = None
        if options.bar_permutation_count:
            count = options.bar_permutation_count
            permuted = await self._permuted(found, record, plan, trial_count, count)
        return await asyncio.to_thread(
            stress_message, record.study_id, best, plan.objectives[0], answer, permuted
        )

    def _of(self, key: tuple[str, int, int]) -> _Found:
        # A deleted study's namesake has another time of creation.
        found = self._held.setdefault(key, _Found())
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return found

    async def _answer(
        self,
        found: _Found,
        spec: study_pb2.StudySpec,
        plan: StudyPlan,
        best: Trial,
        parts: stress_pb2.StressParts,
    ) -> stress_pb2.RunStressTestResponse:
        key = parts.SerializeToString(deterministic=True)
        if key not in found.answers:
            seed = draw(plan.seed, "stress") % SEED_LIMIT
            request = stress_request(spec, best, plan.objectives[0], parts, seed)
            found.answers[key] = await self._backtests.stress(request)
            while len(found.answers) > _PARTS_KEPT:
                found.answers.popitem(last=False)
        return found.answers[key]

    async def _permuted(
        self,
        found: _Found,
        record: StudyRecord,
        plan: StudyPlan,
        trial_count: int,
        count: int,
    ) -> Permuted:
        """Search so many permuted markets; those of a call that ends before are kept."""
        places = asyncio.Semaphore(_SEARCHES_AT_ONCE)

        async def search(number: int) -> None:
            async with places:
                seed = draw(plan.seed, "bar permutation", number) % SEED_LIMIT
                engagement = await self._engage(record, seed)
                best = await rehearse(engagement, trial_count, self._clock)
                found.best_values[number] = None if best is None else best.objective_values[0]

        missing = [number for number in range(count) if number not in found.best_values]
        try:
            async with asyncio.TaskGroup() as group:
                for number in missing:
                    group.create_task(search(number))
        except ExceptionGroup as failed:
            # One refusal is enough; the others are of the same study.
            raise failed.exceptions[0] from failed
        return Permuted([found.best_values[number] for number in range(count)], trial_count)
