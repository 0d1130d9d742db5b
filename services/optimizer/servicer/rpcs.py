"""The RPCs: messages outside, plain Python inside. Errors are the matter of common.status."""

# ruff: noqa: ARG002, N802 - gRPC gives the arguments, the contract the names

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import grpc
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2

from services.common.errors import Violation, refuse, unavailable
from services.optimizer.convert.events import numbered
from services.optimizer.convert.reports import buy_and_hold_request, report_message
from services.optimizer.convert.requests import name_violations, page_of, study_id_of
from services.optimizer.convert.specs import stored_plan
from services.optimizer.convert.studies import outcome_message, study_message, trial_message
from services.optimizer.convert.values import METRIC_NAMES
from services.optimizer.core.objectives import best_first
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.ports import StudyRecord, StudyState
from services.optimizer.core.tally import Progress
from services.optimizer.core.trial import Trial, TrialState
from services.optimizer.core.trial_order import TrialOrder, ordered, read_order
from services.optimizer.servicer.collaborators import Collaborators
from services.optimizer.servicer.study_maker import StudyMaker

# Quoted: only the stubs know it as generic.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class OptimizerServicer(optimizer_service_pb2_grpc.OptimizerServiceServicer):
    """Answers the RPCs of the optimizer."""

    def __init__(self, collaborators: Collaborators) -> None:
        self._with = collaborators
        self._maker = StudyMaker(collaborators)

    async def CreateStudy(
        self, request: pb.CreateStudyRequest, context: Context
    ) -> pb.CreateStudyResponse:
        """Check, pin, store and start a study, or only estimate it."""
        if request.validate_only:
            return await self._maker.estimated(request)
        record = await self._maker.made(request)
        return pb.CreateStudyResponse(study=await self._study(record))

    async def GetStudy(self, request: pb.GetStudyRequest, context: Context) -> pb.GetStudyResponse:
        """Describe one study."""
        record = await self._with.supervisor.record(study_id_of(request.name))
        return pb.GetStudyResponse(study=await self._study(record))

    async def ListStudies(
        self, request: pb.ListStudiesRequest, context: Context
    ) -> pb.ListStudiesResponse:
        """List studies, newest first."""
        page, violations = page_of(
            request.page_size, request.page_token, 50, "ListStudies", request.state
        )
        if request.state not in study_pb2.Study.State.values():
            violations.append(Violation("state", f"{request.state} is not one of the choices"))
        refuse(violations)
        state = StudyState(request.state) if request.state else None
        records = await self._with.store.list(page.size + 1, page.offset, state)
        return pb.ListStudiesResponse(
            studies=[await self._study(record) for record in records[: page.size]],
            next_page_token=page.next_token(more=len(records) > page.size),
        )

    async def DeleteStudy(
        self, request: pb.DeleteStudyRequest, context: Context
    ) -> pb.DeleteStudyResponse:
        """Delete a study with everything."""
        await self._with.supervisor.delete(study_id_of(request.name))
        return pb.DeleteStudyResponse()

    async def WatchStudy(
        self, request: pb.WatchStudyRequest, context: Context
    ) -> AsyncIterator[pb.WatchStudyResponse]:
        """Stream the study's events, old and new, until it is finished."""
        violations = list(name_violations("name", request.name))
        if request.after_event_number < 0:
            violations.append(Violation("after_event_number", "must be 0 or more"))
        refuse(violations)
        events = self._with.supervisor.watch(study_id_of(request.name), request.after_event_number)
        async for number, event in events:
            yield pb.WatchStudyResponse(event=numbered(number, event))

    async def StopStudy(
        self, request: pb.StopStudyRequest, context: Context
    ) -> pb.StopStudyResponse:
        """Ask a study to stop."""
        record = await self._with.supervisor.stop(study_id_of(request.name))
        return pb.StopStudyResponse(study=await self._study(record))

    async def ResumeStudy(
        self, request: pb.ResumeStudyRequest, context: Context
    ) -> pb.ResumeStudyResponse:
        """Go on with a stopped or failed study."""
        record = await self._with.supervisor.resume(study_id_of(request.name))
        return pb.ResumeStudyResponse(study=await self._study(record))

    async def ListTrials(
        self, request: pb.ListTrialsRequest, context: Context
    ) -> pb.ListTrialsResponse:
        """List the finished trials of a study."""
        page, violations = page_of(
            request.page_size,
            request.page_token,
            100,
            "ListTrials",
            request.parent,
            request.order_by,
            request.state,
        )
        violations += name_violations("parent", request.parent)
        order = TrialOrder()
        try:
            order = read_order(request.order_by, METRIC_NAMES)
        except ValueError as error:
            violations.append(Violation("order_by", str(error)))
        if request.state not in study_pb2.Trial.State.values():
            violations.append(Violation("state", f"{request.state} is not one of the choices"))
        refuse(violations)
        record, trials = await self._trials(request.parent)
        state = TrialState(request.state) if request.state else None
        found = ordered(trials, order, state)
        wanted, token = page.cut(found)
        return pb.ListTrialsResponse(
            trials=[trial_message(record.study_id, trial) for trial in wanted],
            next_page_token=token,
            total_count=len(found),
        )

    async def ListBestTrials(
        self, request: pb.ListBestTrialsRequest, context: Context
    ) -> pb.ListBestTrialsResponse:
        """List the best trials, or the Pareto front."""
        page, violations = page_of(
            request.page_size, request.page_token, 10, "ListBestTrials", request.parent
        )
        refuse([*violations, *name_violations("parent", request.parent)])
        record, trials = await self._trials(request.parent)
        plan = await self._plan(record)
        wanted, token = page.cut(await asyncio.to_thread(best_first, trials, plan.objectives))
        return pb.ListBestTrialsResponse(
            trials=[trial_message(record.study_id, trial) for trial in wanted],
            next_page_token=token,
        )

    async def GetStudyReport(
        self, request: pb.GetStudyReportRequest, context: Context
    ) -> pb.GetStudyReportResponse:
        """Report what a study found so far."""
        study_id_of(request.name)
        record, trials = await self._trials(request.name)
        study, plan = await self._study(record), await self._plan(record)
        compared = await self._with.backtests.run(buy_and_hold_request(study.spec))
        importances = await asyncio.to_thread(self._with.importances, plan.shape, trials)
        report = await asyncio.to_thread(
            report_message, study, plan, trials, compared.metrics, importances
        )
        return pb.GetStudyReportResponse(report=report)

    async def _study(self, record: StudyRecord) -> study_pb2.Study:
        """Return a study as a message, with its outcome so far."""
        if record.outcome:
            return study_message(record, study_pb2.Study.FromString(record.outcome))
        if record.start_time_ms is None:
            progress = Progress((await self._plan(record)).trial_count)
            return study_message(record, outcome_message(record.study_id, progress, ()))
        so_far = await self._with.supervisor.outcome(record.study_id)
        if so_far is None:
            # It has ended since the record was read: the record that ended it has its outcome.
            ended = await self._with.supervisor.record(record.study_id)
            if not ended.outcome:
                raise unavailable("STORE_UNAVAILABLE", "the service is draining; ask again")
            return study_message(ended, study_pb2.Study.FromString(ended.outcome))
        return study_message(record, outcome_message(record.study_id, *so_far))

    async def _trials(self, name: str) -> tuple[StudyRecord, Sequence[Trial]]:
        record = await self._with.supervisor.record(name.removeprefix("studies/"))
        return record, await self._with.trials.trials(record.study_id)

    async def _plan(self, record: StudyRecord) -> StudyPlan:
        return await asyncio.to_thread(stored_plan, record.spec)
