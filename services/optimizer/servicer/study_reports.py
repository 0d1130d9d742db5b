"""Reports: everything that is told of what a study found, put together from those who find it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import refuse
from services.optimizer.convert.report_parts import tried_in
from services.optimizer.convert.reports import Findings, evaluator_of, report_message
from services.optimizer.convert.requests import name_violations
from services.optimizer.convert.resampling_options import (
    cross_validation_plan,
    cross_validation_violations,
)
from services.optimizer.convert.stress import stress_violations
from services.optimizer.convert.studies import MOST_BEST_TRIALS
from services.optimizer.core.analysis.luck.choosing import SHARPE_RATIO
from services.optimizer.core.analysis.recommendation.choices import CHOICE_METRICS
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.walk_forward.winners import best_of
from services.optimizer.servicer.collaborators import Collaborators
from services.optimizer.servicer.concerned_study import concerned
from services.optimizer.servicer.dataset_comparisons import comparisons
from services.optimizer.servicer.luck_evidence import LuckEvidence
from services.optimizer.servicer.plans import plan_of_record
from services.optimizer.servicer.recommendations import Recommendations
from services.optimizer.servicer.stress_runs import StressRuns
from services.optimizer.servicer.study_messages import StudyMessages
from services.optimizer.servicer.trial_numbers import TrialNumbers
from services.optimizer.servicer.walk_reports import WalkReports


class StudyReports:
    """Makes reports; what workers have told for one is remembered by its parts."""

    def __init__(
        self, collaborators: Collaborators, numbers: TrialNumbers, messages: StudyMessages
    ) -> None:
        self._with = collaborators
        self._numbers = numbers
        self._messages = messages
        self._luck = LuckEvidence(collaborators.backtests, collaborators.bootstrap)
        self._walks = WalkReports(collaborators, numbers)
        self._recommendations = Recommendations(collaborators.backtests, numbers)
        self._stress = StressRuns(
            collaborators.backtests, collaborators.engage_permuted, collaborators.clock
        )

    async def report(self, request: pb.GetStudyReportRequest) -> study_pb2.StudyReport:
        """Return the report that is asked for.

        Raises:
            AssayError: as the contract says.
        """
        evaluator, violations = evaluator_of(request)
        violations += cross_validation_violations(request.cross_validation)
        violations += stress_violations(request.stress)
        refuse([*name_violations("name", request.name), *violations])
        study_id = concerned(request.name)
        record = await self._with.supervisor.record(study_id)
        study, plan = await self._messages.study(record), await plan_of_record(record)
        compared = await comparisons(self._with, record, study.spec)
        # Of several data no single record of trades holds what a choice would be judged by.
        advised = _wanted(request, "recommendation") and plan.aggregation is None
        table = await self._with.store.table(study_id, (SHARPE_RATIO, *CHOICE_METRICS))
        best = await asyncio.to_thread(best_of, plan, table)
        ledger = compared.ledgers[0]
        trials = await self._numbers.trials(study_id, best[:MOST_BEST_TRIALS])
        walked = None
        if plan.walk_forward is not None:
            luck = _wanted(request, "luck")
            walked = await self._walks.of(record, plan, table, best, ledger, luck=luck)
        findings = Findings(
            study=study,
            plan=plan,
            table=table,
            best=best,
            best_trials=trials,
            buy_and_hold=compared.buy_and_hold[0],
            ledger=ledger,
            evaluator=evaluator,
            walked=walked,
        )
        findings = await self._doubted(request, record, findings)
        report = await asyncio.to_thread(
            report_message, findings, self._with.importances, self._with.hypervolume
        )
        compared.put_into(report)
        if advised:
            report.recommendation.CopyFrom(
                await self._recommendations.of(record, plan, table, best, ledger, report)
            )
        return report

    async def _doubted(
        self, request: pb.GetStudyReportRequest, record: StudyRecord, findings: Findings
    ) -> Findings:
        """Add how likely the best trial is luck, and how it stands up to worse conditions."""
        plan, table = findings.plan, findings.table
        best = findings.best_trials[0] if findings.best_trials else None
        luck = None
        single = plan.walk_forward is None and plan.aggregation is None
        if single and best and len(plan.objectives) == 1 and _wanted(request, "luck"):
            cross = cross_validation_plan(request.cross_validation, findings.study.spec)
            tried = tried_in(table, findings.ledger)
            luck = await self._luck.luck(record, plan, table, best, tried, cross)
        stress = await self._stress.stress(request.stress, record, plan, len(table), best)
        return replace(findings, luck=luck, stress=stress)


def _wanted(request: pb.GetStudyReportRequest, part: Literal["luck", "recommendation"]) -> bool:
    """Tell whether an optional part is wanted: unless it is said not to be."""
    return not request.HasField(part) or bool(getattr(request, part))
