"""Runs the neighbours of trials; remembers what was found around those of the studies used last."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.luck import objective_values
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood
from services.optimizer.core.analysis.recommendation.surroundings import surroundings
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Point
from services.optimizer.servicer.collaborators import Backtests

CAPACITY: Final = 64
"""Studies remembered: a few kilobytes each."""

_SETS_AT_ONCE: Final = 250

_CALLS_AT_ONCE: Final = 4

_CHEAP: Final = ("trade_count",)


@dataclass(frozen=True, slots=True)
class Around:
    """What running trials and their neighbours has told.

    Attributes:
        day_count: Daily returns of a trial.
        neighborhoods: The objective around trials, by their numbers; empty for several objectives.
    """

    day_count: int
    neighborhoods: Mapping[int, Neighborhood]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The trials to look around.

    Attributes:
        always: Points by trial number, whatever they cost; at least one.
        others: More of them, best first, as far as the limits allow.
        objectives: The objective of each, by its number; empty for several objectives.
    """

    always: Mapping[int, Point]
    others: Mapping[int, Point]
    objectives: Mapping[int, float]


class NeighborhoodRuns:
    """Looks around trials; runs what it has not yet seen of a study."""

    def __init__(self, backtests: Backtests, capacity: int = CAPACITY) -> None:
        self._backtests = backtests
        self._capacity = capacity
        self._held: OrderedDict[tuple[str, int, int], Around] = OrderedDict()

    async def around(
        self, record: StudyRecord, plan: StudyPlan, trial_count: int, wanted: Wanted
    ) -> Around:
        """Return what is around trials, which follow from the study's first `trial_count` ones.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        # A deleted study's namesake has another time of creation.
        key = (record.study_id, record.create_time_ms, trial_count)
        if key not in self._held:
            spec = study_pb2.StudySpec.FromString(record.spec)
            self._held[key] = await self._look(spec, plan, wanted)
        self._held.move_to_end(key)
        found = self._held[key]
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return found

    async def _look(self, spec: study_pb2.StudySpec, plan: StudyPlan, wanted: Wanted) -> Around:
        # The trials themselves tell how long the window is, in bars and in days.
        first = await self._backtests.run_points(
            spec,
            list(wanted.always.values()),
            _CHEAP,
            returns=backtest_service_pb2.ReturnStatisticsRequest(),
        )
        days = first.return_statistics.day_count
        if not wanted.objectives:
            return Around(days, {})
        objective = plan.objectives[0]
        near = await asyncio.to_thread(
            surroundings, plan, wanted.always, wanted.others, first.bar_count
        )
        values = await self._values(spec, near.points, objective)
        found = near.neighborhoods(values, wanted.objectives, maximize=objective.maximize)
        return Around(days, found)

    async def _values(
        self, spec: study_pb2.StudySpec, points: Sequence[Point], objective: Objective
    ) -> list[float | None]:
        """Return the objective of each point, run in calls of at most `_SETS_AT_ONCE`."""
        places = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def call(part: Sequence[Point]) -> list[float | None]:
            async with places:
                answer = await self._backtests.run_points(spec, part, objective.metrics)
                return objective_values(answer, objective, len(part))

        starts = range(0, len(points), _SETS_AT_ONCE)
        parts = await asyncio.gather(
            *(call(points[start : start + _SETS_AT_ONCE]) for start in starts)
        )
        return [value for part in parts for value in part]
