"""What only workers can tell of luck: trials and neighbours run again, remembered per study."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.luck import objective_values, record_of
from services.optimizer.core.analysis.luck.choosing import complete_numbers, covering
from services.optimizer.core.analysis.luck.cross_validation import CrossValidationPlan
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood, neighbors, summary
from services.optimizer.core.analysis.luck.resampling import Bootstrap
from services.optimizer.core.analysis.luck.sharpe import Tried
from services.optimizer.core.analysis.luck.verdict import Evidence, Luck, luck_of
from services.optimizer.core.analysis.trial_order import parameters_at_edge
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories
from services.optimizer.core.trial import Point, Trial
from services.optimizer.servicer.collaborators import Backtests
from services.optimizer.servicer.return_evidence import (
    Candidates,
    ReturnEvidence,
    return_evidence,
)

CAPACITY: Final = 16
"""Studies remembered: half a megabyte each for large ones."""

_SETS_AT_ONCE: Final = 250
"""Sets of a call. Fixed, so that sums over calls have the same bits whoever answers."""

_CALLS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Rerun:
    """What running trials again has told.

    Attributes:
        of_returns: What their daily returns tell.
        complete_count: Complete trials they were taken from.
        neighborhood: The objective around the best; None where no number is searched.
    """

    of_returns: ReturnEvidence
    complete_count: int
    neighborhood: Neighborhood | None


_Key: TypeAlias = tuple[str, int, int, CrossValidationPlan | None]


class LuckEvidence:
    """Gathers the evidence of luck; runs what it has not yet seen of a study."""

    def __init__(
        self, backtests: Backtests, bootstrap: Bootstrap, capacity: int = CAPACITY
    ) -> None:
        self._backtests = backtests
        self._bootstrap = bootstrap
        self._capacity = capacity
        self._held: OrderedDict[_Key, Rerun] = OrderedDict()

    async def luck(
        self,
        record: StudyRecord,
        plan: StudyPlan,
        table: TrialTable,
        best: Trial,
        tried: Tried,
        cross: CrossValidationPlan | None = None,
    ) -> Luck:
        """Return how likely the best trial of a study with one objective is luck.

        The choice of the best is cross-validated by a plan; None: it is not.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        # A deleted study's namesake has another time of creation.
        key = (record.study_id, record.create_time_ms, len(table), cross)
        if key not in self._held:
            spec = study_pb2.StudySpec.FromString(record.spec)
            self._held[key] = await self._rerun(spec, plan, table, best, cross)
        self._held.move_to_end(key)
        found, told = self._held[key], self._held[key].of_returns
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return luck_of(
            Evidence(
                record=record_of(best, told.moments.day_count),
                day_count=told.moments.day_count,
                trade_count=round(best.outcome.metrics.get("trade_count", 0.0)),
                trial_count=tried.count,
                trial_variance=tried.sharpe_variance,
                moments=told.moments,
                complete_count=found.complete_count,
                overfitting=told.overfitting,
                neighborhood=found.neighborhood,
                at_edge=parameters_at_edge(plan, best),
                superior_ability=told.superior_ability,
                intervals=told.intervals,
                cross_validation=told.cross_validation,
            )
        )

    async def _rerun(
        self,
        spec: study_pb2.StudySpec,
        plan: StudyPlan,
        table: TrialTable,
        best: Trial,
        cross: CrossValidationPlan | None,
    ) -> Rerun:
        near = await asyncio.to_thread(neighbors, plan, best.parameters)
        objective = plan.objectives[0]
        # With the best itself, so that the window's length is known even without neighbours.
        around = await self._run(spec, [best.parameters, *near], objective.metrics)
        values: list[float | None] = []
        for count, response in around:
            values += objective_values(response, objective, count)
        numbers = await asyncio.to_thread(complete_numbers, table)
        chosen = covering(numbers, best.number, around[0][1].bar_count)
        points = points_of(plan, table, chosen)
        candidates = Candidates(chosen, points, best.number, cross)
        return Rerun(
            of_returns=await return_evidence(self._backtests, self._bootstrap, spec, candidates),
            complete_count=len(numbers),
            neighborhood=summary(values[1:], best.objective_values[0], maximize=objective.maximize)
            if near
            else None,
        )

    async def _run(
        self, spec: study_pb2.StudySpec, points: Sequence[Point], metrics: Sequence[str]
    ) -> list[tuple[int, backtest_service_pb2.RunBacktestBatchResponse]]:
        """Run points in calls of fixed sizes; return their set counts and answers, in order."""
        places = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def call(
            part: Sequence[Point],
        ) -> tuple[int, backtest_service_pb2.RunBacktestBatchResponse]:
            async with places:
                return len(part), await self._backtests.run_points(spec, part, metrics)

        starts = range(0, len(points), _SETS_AT_ONCE)
        return await asyncio.gather(
            *(call(points[start : start + _SETS_AT_ONCE]) for start in starts)
        )


def points_of(plan: StudyPlan, table: TrialTable, numbers: npt.NDArray[np.int64]) -> list[Point]:
    """Return the points of trials from their columns; numbers are places in the table."""
    columns = {}
    for one in plan.space.searched:
        values = table.parameters[one.name][numbers].tolist()
        if isinstance(one.domain, Categories):
            values = [one.domain.values[place] for place in values]
        columns[one.name] = values
    fixed = plan.space.fixed
    return [
        {**fixed, **{name: values[place] for name, values in columns.items()}}
        for place in range(len(numbers))
    ]
