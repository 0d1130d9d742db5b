"""What to do with a study's result: chooses trials, looks around them, judges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from assay.optimizer.v1 import recommendation_pb2, study_pb2

from services.common.errors import unknown
from services.optimizer.convert.recommendation import (
    Background,
    choice_message,
    recommendation_message,
)
from services.optimizer.convert.report_parts import tried_in
from services.optimizer.convert.reported_walk import reported_walk
from services.optimizer.convert.walk_forward_choices import walk_forward_choices
from services.optimizer.core.analysis.pareto import trade_offs
from services.optimizer.core.analysis.recommendation.choices import (
    Absent,
    ChoiceKind,
    Pick,
    front_picks,
    money_picks,
)
from services.optimizer.core.analysis.recommendation.surroundings import (
    candidates,
    neighborhood_pick,
)
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import LedgerEntry, StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Point, Trial
from services.optimizer.servicer.collaborators import Backtests
from services.optimizer.servicer.luck_evidence import points_of
from services.optimizer.servicer.neighborhood_runs import Around, NeighborhoodRuns, Wanted
from services.optimizer.servicer.trial_numbers import Numbers, TrialNumbers

_ORDER = tuple(ChoiceKind)


class Recommendations:
    """Recommends, once the rest of a report is known."""

    def __init__(self, backtests: Backtests, numbers: TrialNumbers) -> None:
        self._runs = NeighborhoodRuns(backtests)
        self._numbers = numbers

    async def of(
        self,
        record: StudyRecord,
        plan: StudyPlan,
        table: TrialTable,
        best: Numbers,
        ledger: LedgerEntry,
        report: study_pb2.StudyReport,
    ) -> recommendation_pb2.Recommendation:
        """Return what to do with a study's result.

        Args:
            record: The study.
            plan: Its plan.
            table: Its trials with `CHOICE_METRICS`.
            best: What `best_of` says of them.
            ledger: All that was ever tried.
            report: Everything else that is reported.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        walk = reported_walk(report)
        if walk is not None:
            choices, absent = walk_forward_choices(plan, walk)
        elif len(best):
            choices, absent = await self._of_trials(record, plan, table, best, ledger)
        else:
            choices, absent = [], []
        return recommendation_message(choices, absent, report)

    async def _of_trials(
        self,
        record: StudyRecord,
        plan: StudyPlan,
        table: TrialTable,
        best: Numbers,
        ledger: LedgerEntry,
    ) -> tuple[list[recommendation_pb2.Choice], list[Absent]]:
        alone = len(plan.objectives) == 1
        of = self._of_one_objective if alone else self._of_front
        picks, absent, around = await of(record, plan, table, best)
        trials = await self._trials(record.study_id, picks)
        background = Background(
            study_id=record.study_id,
            objectives=plan.objectives,
            best_value=_value(table, int(best[0])) if alone else None,
            day_count=around.day_count,
            tried=tried_in(table, ledger),
            neighborhoods=around.neighborhoods,
        )
        return [choice_message(one, trials[one.number], background) for one in picks], absent

    async def _trials(self, study_id: str, picks: Sequence[Pick]) -> dict[int, Trial]:
        numbers = sorted({one.number for one in picks})
        found = await self._numbers.trials(study_id, np.array(numbers, np.int64))
        if len(found) < len(numbers):
            # Deleted meanwhile.
            raise unknown("study", study_id, (), "STUDY_UNKNOWN")
        return {trial.number: trial for trial in found}

    async def _of_front(
        self, record: StudyRecord, plan: StudyPlan, table: TrialTable, front: Numbers
    ) -> tuple[list[Pick], list[Absent], Around]:
        found = await asyncio.to_thread(trade_offs, table, front, plan.objectives)
        picks, absent = front_picks(found, plan.objectives)
        points = _points(plan, table, [one.number for one in picks])
        around = await self._runs.around(record, plan, len(table), Wanted(points, {}, {}))
        return picks, absent, around

    async def _of_one_objective(
        self, record: StudyRecord, plan: StudyPlan, table: TrialTable, best: Numbers
    ) -> tuple[list[Pick], list[Absent], Around]:
        told = f"the best {plan.objectives[0].metric} of {len(best):,} feasible trials"
        picks = [Pick(ChoiceKind.BEST_OBJECTIVE, int(best[0]), told)]
        by_money, absent = money_picks(table)
        picks += by_money
        others = await asyncio.to_thread(candidates, table, best)
        always = [one.number for one in picks]
        wanted = Wanted(
            always=_points(plan, table, always),
            others=_points(plan, table, others.tolist()),
            objectives={number: _value(table, number) for number in (*always, *others.tolist())},
        )
        around = await self._runs.around(record, plan, len(table), wanted)
        steady, missing = neighborhood_pick(others, around.neighborhoods)
        return (
            sorted([*picks, *steady], key=lambda one: _ORDER.index(one.kind)),
            sorted([*absent, *missing], key=lambda one: _ORDER.index(one.kind)),
            around,
        )


def _points(plan: StudyPlan, table: TrialTable, numbers: Sequence[int]) -> dict[int, Point]:
    """Return the points of trials by their numbers, each once."""
    each = list(dict.fromkeys(numbers))
    points = points_of(plan, table, np.array(each, np.int64))
    return dict(zip(each, points, strict=True))


def _value(table: TrialTable, number: int) -> float:
    return float(table.objective_values[number, 0])
