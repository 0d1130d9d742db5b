"""The RPCs on studies as such; those on what they found are in `result_rpcs`.

Messages outside, plain Python inside. Errors are the matter of common.status.
"""

# ruff: noqa: ARG002, N802 - gRPC gives the arguments, the contract the names

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Violation, refuse
from services.optimizer.convert.creation import plan_of_all_points
from services.optimizer.convert.events import numbered
from services.optimizer.convert.limits import updated_limits
from services.optimizer.convert.requests import name_violations, page_of
from services.optimizer.core.records import StudyState
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.servicer.collaborators import Collaborators
from services.optimizer.servicer.concerned_study import concerned, note_wanted
from services.optimizer.servicer.plans import plan_of_record
from services.optimizer.servicer.result_rpcs import Context, ResultServicer
from services.optimizer.servicer.study_maker import StudyMaker


@lru_cache(maxsize=32)
def _told(number: int, event: bytes) -> pb.WatchStudyResponse:
    """Return an event as an answer, one for all who watch: nobody may change it."""
    return pb.WatchStudyResponse(event=numbered(number, event))


class OptimizerServicer(ResultServicer):
    """Answers the RPCs of the optimizer."""

    def __init__(self, collaborators: Collaborators) -> None:
        super().__init__(collaborators)
        self._maker = StudyMaker(collaborators)

    async def CreateStudy(
        self, request: pb.CreateStudyRequest, context: Context
    ) -> pb.CreateStudyResponse:
        """Check, pin and store a study for a replica to run, or only estimate it."""
        note_wanted(request.study_id)
        if request.validate_only:
            return await self._maker.estimated(request)
        record = await self._maker.made(request)
        return pb.CreateStudyResponse(study=await self._messages.study(record))

    async def GetStudy(self, request: pb.GetStudyRequest, context: Context) -> pb.GetStudyResponse:
        """Describe one study."""
        record = await self._with.supervisor.record(concerned(request.name))
        return pb.GetStudyResponse(study=await self._messages.study(record))

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
            studies=[await self._messages.study(record) for record in records[: page.size]],
            next_page_token=page.next_token(more=len(records) > page.size),
        )

    async def DeleteStudy(
        self, request: pb.DeleteStudyRequest, context: Context
    ) -> pb.DeleteStudyResponse:
        """Delete a study with everything."""
        await self._with.supervisor.delete(concerned(request.name))
        return pb.DeleteStudyResponse()

    async def WatchStudy(
        self, request: pb.WatchStudyRequest, context: Context
    ) -> AsyncIterator[pb.WatchStudyResponse]:
        """Stream the study's events, old and new, until it is finished."""
        violations = list(name_violations("name", request.name))
        if request.after_event_number < 0:
            violations.append(Violation("after_event_number", "must be 0 or more"))
        refuse(violations)
        events = self._with.supervisor.watch(concerned(request.name), request.after_event_number)
        async for number, event in events:
            yield _told(number, event)

    async def StopStudy(
        self, request: pb.StopStudyRequest, context: Context
    ) -> pb.StopStudyResponse:
        """Ask a study to stop, or to pause."""
        record = await self._with.supervisor.stop(concerned(request.name))
        return pb.StopStudyResponse(study=await self._messages.study(record))

    async def ResumeStudy(
        self, request: pb.ResumeStudyRequest, context: Context
    ) -> pb.ResumeStudyResponse:
        """Go on with an ended study that has something left to do."""
        record = await self._with.supervisor.resume(concerned(request.name))
        return pb.ResumeStudyResponse(study=await self._messages.study(record))

    async def GetReplicaStatus(
        self, request: pb.GetReplicaStatusRequest, context: Context
    ) -> pb.GetReplicaStatusResponse:
        """Say what this replica is doing."""
        response = self._with.standing()
        counts = await self._with.store.state_counts()
        for state in sorted(counts, key=lambda one: one.value):
            response.studies.add(
                state=study_pb2.Study.State.ValueType(state.value), study_count=counts[state]
            )
        return response

    async def UpdateStudyLimits(
        self, request: pb.UpdateStudyLimitsRequest, context: Context
    ) -> pb.UpdateStudyLimitsResponse:
        """Change when a study ends."""
        record = await self._with.supervisor.record(concerned(request.name))
        plan, most = await plan_of_record(record), self._with.trial_limit
        if plan.search is SearchKind.BRUTE_FORCE:
            whole = await asyncio.to_thread(plan_of_all_points, record.spec)
            most = min(most, whole.trial_count)
        finished = await self._messages.finished_count(record)
        limits = updated_limits(request, plan, record.limits, finished, most)
        record = await self._with.supervisor.set_limits(record.study_id, limits)
        return pb.UpdateStudyLimitsResponse(study=await self._messages.study(record))
