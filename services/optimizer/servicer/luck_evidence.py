"""What only workers can tell of luck: trials and neighbours run again, remembered per study."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.luck import moments_of, objective_values, record_of
from services.optimizer.convert.report_parts import variance_of
from services.optimizer.core.analysis.luck.choosing import complete_numbers, covering
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood, neighbors, summary
from services.optimizer.core.analysis.luck.overfitting import Overfitting, overfitting
from services.optimizer.core.analysis.luck.returns import ReturnMoments, joined
from services.optimizer.core.analysis.luck.verdict import Evidence, Luck, luck_of
from services.optimizer.core.analysis.trial_order import parameters_at_edge
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import LedgerEntry, StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories
from services.optimizer.core.trial import Point, Trial
from services.optimizer.servicer.collaborators import Backtests

CAPACITY: Final = 16
"""Studies remembered: half a megabyte each for large ones."""

_SETS_AT_ONCE: Final = 250
"""Sets of a call. Fixed, so that sums over calls have the same bits whoever answers."""

_CALLS_AT_ONCE: Final = 4

_CHEAP: Final = ("trade_count",)


@dataclass(frozen=True, slots=True)
class Rerun:
    """What running trials again has told.

    Attributes:
        moments: Their daily returns.
        complete_count: Complete trials they were taken from.
        overfitting: What cross-validation says of them.
        neighborhood: The objective around the best; None where no number is searched.
    """

    moments: ReturnMoments
    complete_count: int
    overfitting: Overfitting | None
    neighborhood: Neighborhood | None


class LuckEvidence:
    """Gathers the evidence of luck; runs what it has not yet seen of a study."""

    def __init__(self, backtests: Backtests, capacity: int = CAPACITY) -> None:
        self._backtests = backtests
        self._capacity = capacity
        self._held: OrderedDict[tuple[str, int, int], Rerun] = OrderedDict()

    async def luck(
        self,
        record: StudyRecord,
        plan: StudyPlan,
        table: TrialTable,
        best: Trial,
        ledger: LedgerEntry,
    ) -> Luck:
        """Return how likely the best trial of a study with one objective is luck.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        # A deleted study's namesake has another time of creation.
        key = (record.study_id, record.create_time_ms, len(table))
        if key not in self._held:
            spec = study_pb2.StudySpec.FromString(record.spec)
            self._held[key] = await self._rerun(spec, plan, table, best)
        self._held.move_to_end(key)
        found = self._held[key]
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return luck_of(
            Evidence(
                record=record_of(best, found.moments.day_count),
                day_count=found.moments.day_count,
                trade_count=round(best.outcome.metrics.get("trade_count", 0.0)),
                trial_count=ledger.evaluated_trial_count,
                trial_variance=variance_of(ledger),
                moments=found.moments,
                complete_count=found.complete_count,
                overfitting=found.overfitting,
                neighborhood=found.neighborhood,
                at_edge=parameters_at_edge(plan, best),
            )
        )

    async def _rerun(
        self, spec: study_pb2.StudySpec, plan: StudyPlan, table: TrialTable, best: Trial
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
        answers = await self._run(spec, points_of(plan, table, chosen), _CHEAP, returns=True)
        moments = joined([moments_of(response) for _, response in answers])
        return Rerun(
            moments=moments,
            complete_count=len(numbers),
            overfitting=await asyncio.to_thread(overfitting, moments),
            neighborhood=summary(values[1:], best.objective_values[0], maximize=objective.maximize)
            if near
            else None,
        )

    async def _run(
        self,
        spec: study_pb2.StudySpec,
        points: Sequence[Point],
        metrics: Sequence[str],
        *,
        returns: bool = False,
    ) -> list[tuple[int, backtest_service_pb2.RunBacktestBatchResponse]]:
        """Run points in calls of fixed sizes; return their set counts and answers, in order."""
        places = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def call(
            part: Sequence[Point],
        ) -> tuple[int, backtest_service_pb2.RunBacktestBatchResponse]:
            async with places:
                answer = await self._backtests.run_points(spec, part, metrics, returns=returns)
                return len(part), answer

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
