"""The RPCs on what studies found: trials, the best of them, files, reports, the ledger."""

# ruff: noqa: ARG002, N802 - gRPC gives the arguments, the contract the names

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import grpc
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc

from services.common.errors import refuse, unknown
from services.optimizer.convert.listing import (
    TrialList,
    export_format_of,
    ledger_filter_violations,
    read_trial_list,
)
from services.optimizer.convert.report_parts import ledger_message
from services.optimizer.convert.requests import Page, name_violations, page_of
from services.optimizer.convert.studies import trial_message
from services.optimizer.convert.values import METRIC_NAMES, WHOLE_METRICS
from services.optimizer.core.analysis.trial_export import export_layout
from services.optimizer.core.analysis.trial_order import BY_NUMBER
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Trial
from services.optimizer.servicer.collaborators import Collaborators
from services.optimizer.servicer.concerned_study import concerned
from services.optimizer.servicer.plans import plan_of_record
from services.optimizer.servicer.study_messages import StudyMessages
from services.optimizer.servicer.study_reports import StudyReports
from services.optimizer.servicer.trial_numbers import Numbers, TrialNumbers

# Quoted: only the stubs know it as generic.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_TRIALS_AT_ONCE: Final = 1_000
"""Trials read at once for a file."""

_RESULTS_AT_ONCE: Final = 16_000
"""Trials times data read at once: what a message has room for."""


class ResultServicer(optimizer_service_pb2_grpc.OptimizerServiceServicer):
    """Answers what studies found, without ever holding all trials of one."""

    def __init__(self, collaborators: Collaborators) -> None:
        self._with = collaborators
        self._numbers = TrialNumbers(collaborators.store)
        self._messages = StudyMessages(collaborators.store, collaborators.supervisor, self._numbers)
        self._reports = StudyReports(collaborators, self._numbers, self._messages)

    async def ListTrials(
        self, request: pb.ListTrialsRequest, context: Context
    ) -> pb.ListTrialsResponse:
        """List the finished trials of a study."""
        wanted = read_trial_list(request)
        record = await self._with.supervisor.record(concerned(request.parent, "parent"))
        most = _trials_at_once(await plan_of_record(record))
        wanted = replace(wanted, page=wanted.page.at_most(most))
        # Later pages are of the trials there were for the first: a list that grows under its reader
        # would repeat some and pass others over.
        finished = wanted.page.horizon or await self._messages.finished_count(record)
        if wanted.order.key == BY_NUMBER and wanted.state is None:
            trials, count = await self._by_number(record, finished, wanted), finished
        else:
            numbers = await self._numbers.ordered(record, finished, wanted.order, wanted.state)
            trials, count = await self._cut(record, numbers, wanted.page), len(numbers)
        return pb.ListTrialsResponse(
            trials=[trial_message(record.study_id, trial) for trial in trials],
            next_page_token=wanted.page.next_token(more=wanted.page.end < count, horizon=finished),
            total_count=count,
        )

    async def ListBestTrials(
        self, request: pb.ListBestTrialsRequest, context: Context
    ) -> pb.ListBestTrialsResponse:
        """List the best trials, or the Pareto front."""
        page, violations = page_of(
            request.page_size, request.page_token, 10, "ListBestTrials", request.parent
        )
        refuse([*violations, *name_violations("parent", request.parent)])
        record = await self._with.supervisor.record(concerned(request.parent, "parent"))
        plan = await plan_of_record(record)
        page = page.at_most(_trials_at_once(plan))
        finished = page.horizon or await self._messages.finished_count(record)
        numbers = await self._numbers.best(record, finished, plan)
        trials = await self._cut(record, numbers, page)
        return pb.ListBestTrialsResponse(
            trials=[trial_message(record.study_id, trial) for trial in trials],
            next_page_token=page.next_token(more=page.end < len(numbers), horizon=finished),
        )

    async def GetStudyReport(
        self, request: pb.GetStudyReportRequest, context: Context
    ) -> pb.GetStudyReportResponse:
        """Report what a study found so far."""
        return pb.GetStudyReportResponse(report=await self._reports.report(request))

    async def ExportTrials(
        self, request: pb.ExportTrialsRequest, context: Context
    ) -> AsyncIterator[pb.ExportTrialsResponse]:
        """Stream all finished trials as a file."""
        form = export_format_of(request)
        study_id = concerned(request.parent, "parent")
        record = await self._with.supervisor.record(study_id)
        plan = await plan_of_record(record)
        finished = await self._messages.finished_count(record)
        file = self._with.export(form, export_layout(plan, METRIC_NAMES, WHOLE_METRICS))
        most = _trials_at_once(plan)
        for first in range(0, finished, most):
            count = min(most, finished - first)
            trials = await self._with.store.trials(study_id, first, count)
            if len(trials) < count:
                # Deleted meanwhile: half a file must not look like a whole one.
                raise unknown("study", study_id, (), "STUDY_UNKNOWN")
            for chunk in await asyncio.to_thread(lambda page: [*file.write(page)], trials):
                yield pb.ExportTrialsResponse(chunk=chunk)
        for chunk in await asyncio.to_thread(lambda: [*file.finish()]):
            yield pb.ExportTrialsResponse(chunk=chunk)

    async def ListLedgerEntries(
        self, request: pb.ListLedgerEntriesRequest, context: Context
    ) -> pb.ListLedgerEntriesResponse:
        """List what was ever tried."""
        page, violations = page_of(
            request.page_size,
            request.page_token,
            100,
            "ListLedgerEntries",
            request.dataset,
            request.strategy,
        )
        refuse([*violations, *ledger_filter_violations(request)])
        entries = await self._with.store.ledger(
            page.size + 1, page.offset, request.dataset, request.strategy
        )
        return pb.ListLedgerEntriesResponse(
            entries=map(ledger_message, entries[: page.size]),
            next_page_token=page.next_token(more=len(entries) > page.size),
        )

    async def _by_number(
        self, record: StudyRecord, finished: int, wanted: TrialList
    ) -> Sequence[Trial]:
        """Return a page of all trials by their numbers, which are their places."""
        first, end = wanted.page.offset, min(wanted.page.end, finished)
        if first >= end:
            return ()
        if not wanted.order.falling:
            return await self._with.store.trials(record.study_id, first, end - first)
        found = await self._with.store.trials(record.study_id, finished - end, end - first)
        return found[::-1]

    async def _cut(self, record: StudyRecord, numbers: Numbers, page: Page) -> Sequence[Trial]:
        return await self._numbers.trials(record.study_id, numbers[page.offset : page.end])


def _trials_at_once(plan: StudyPlan) -> int:
    """Return how many trials of a study are read, or told, at once at most."""
    return min(_TRIALS_AT_ONCE, _RESULTS_AT_ONCE // plan.dataset_count)
