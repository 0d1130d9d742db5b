"""`assay study show | list | trials | best | report`: what studies are and what they found."""

from __future__ import annotations

import enum
from typing import Annotated

import typer
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1.stress_pb2 import StressOptions
from assay.optimizer.v1.study_pb2 import Study, Trial

from cli import datasets_view, report_view, study_view
from cli.connection import Services, run
from cli.cross_validation_options import (
    CrossValidationFlag,
    EmbargoOption,
    GroupsOption,
    PurgeOption,
    TestGroupsOption,
    cross_validation_options,
)
from cli.options import JsonFlag, LimitOption, StudyArgument
from cli.output import emit, emit_json, emit_table
from cli.paging import read_pages, wanted

_SEARCH_SECONDS = 24 * 3_600.0
"""Longest wait for a report with searches of permuted bars."""


class StudyState(enum.Enum):
    """States a study can be in."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class TrialState(enum.Enum):
    """How a trial can have ended."""

    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"


class Evaluator(enum.Enum):
    """How the importance of parameters is judged."""

    PED_ANOVA = "ped-anova"
    F_ANOVA = "f-anova"


def register(app: typer.Typer) -> None:
    """Add these commands to the group `assay study`."""
    app.command()(show)
    app.command("list")(list_studies)
    app.command()(trials)
    app.command()(best)
    app.command()(report)


def show(name: StudyArgument, *, as_json: JsonFlag = False) -> None:
    """Describe a study: what it searches and how far it is."""

    async def command(services: Services) -> None:
        response = await services.optimizer.GetStudy(pb.GetStudyRequest(name=name))
        if as_json:
            emit_json(response)
            return
        emit_table(study_view.description(response.study))
        emit_table(study_view.space(response.study.spec))

    run(command, as_json=as_json)


def list_studies(
    *,
    state: Annotated[StudyState | None, typer.Option(help="Only studies in this state.")] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the studies, newest first."""
    request = pb.ListStudiesRequest(
        state=Study.State.Value(f"STATE_{state.name}") if state else Study.STATE_UNSPECIFIED
    )

    async def command(services: Services) -> None:
        most = wanted(limit, as_json=as_json)
        response = await read_pages(services.optimizer.ListStudies, request, "studies", most)
        if as_json:
            emit_json(response)
        elif not response.studies:
            emit("no studies; create one with `assay study create FILE`")
        else:
            emit_table(study_view.listing(response.studies))
            if response.next_page_token:
                emit(f"the newest {len(response.studies)}; --limit 0 shows all")

    run(command, as_json=as_json)


def trials(
    name: StudyArgument,
    *,
    order_by: Annotated[
        str, typer.Option(metavar="FIELD", help='"number", or a metric, with " desc" to fall.')
    ] = "",
    state: Annotated[TrialState | None, typer.Option(help="Only trials in this state.")] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the finished trials of a study."""
    request = pb.ListTrialsRequest(
        parent=name,
        order_by=order_by,
        state=Trial.State.Value(f"STATE_{state.name}") if state else Trial.STATE_UNSPECIFIED,
    )

    async def command(services: Services) -> None:
        most = wanted(limit, as_json=as_json)
        response = await read_pages(services.optimizer.ListTrials, request, "trials", most)
        if as_json:
            emit_json(response)
            return
        answer = await services.optimizer.GetStudy(pb.GetStudyRequest(name=name))
        emit_table(study_view.trials(response.trials, answer.study.spec))
        emit(f"{len(response.trials):,} of {response.total_count:,} trials")

    run(command, as_json=as_json)


def best(name: StudyArgument, *, limit: LimitOption = 10, as_json: JsonFlag = False) -> None:
    """List the best trials, or the Pareto front of several objectives."""

    async def command(services: Services) -> None:
        request = pb.ListBestTrialsRequest(parent=name)
        most = wanted(limit, as_json=as_json)
        response = await read_pages(services.optimizer.ListBestTrials, request, "trials", most)
        if as_json:
            emit_json(response)
            return
        answer = await services.optimizer.GetStudy(pb.GetStudyRequest(name=name))
        if response.trials:
            emit_table(study_view.trials(response.trials, answer.study.spec))
            datasets_view.show_results(response.trials[0], answer.study.spec)
        else:
            emit(f"{name} has no feasible trial yet")

    run(command, as_json=as_json)


def report(
    name: StudyArgument,
    *,
    importance: Annotated[
        Evaluator, typer.Option(help="How importance is judged; f-anova is slow.")
    ] = Evaluator.PED_ANOVA,
    luck: Annotated[
        bool,
        typer.Option("--luck/--no-luck", help="Whether to tell how likely the best is luck."),
    ] = True,
    recommendation: Annotated[
        bool,
        typer.Option(
            "--recommendation/--no-recommendation", help="Whether to tell what to do with it."
        ),
    ] = True,
    cross_validation: CrossValidationFlag = True,
    groups: GroupsOption = None,
    test_groups: TestGroupsOption = None,
    purge_days: PurgeOption = None,
    embargo_days: EmbargoOption = None,
    stress: Annotated[
        bool,
        typer.Option("--stress/--no-stress", help="Whether to put the best under stress."),
    ] = True,
    bar_permutations: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            metavar="COUNT",
            help="Search so many markets of permuted bars too; each takes as long as the study.",
        ),
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Report what a study found: what to do with it, best trial, buy-and-hold, luck, stress."""
    request = pb.GetStudyReportRequest(
        name=name,
        importance_evaluator=pb.GetStudyReportRequest.ImportanceEvaluator.Value(
            f"IMPORTANCE_EVALUATOR_{importance.name}"
        ),
        luck=luck,
        recommendation=recommendation,
        cross_validation=cross_validation_options(
            groups, test_groups, purge_days, embargo_days, wanted=cross_validation
        ),
        stress=StressOptions(wanted=stress, bar_permutation_count=bar_permutations),
    )

    async def command(services: Services) -> None:
        # Searches take their time; for anything else the usual deadline holds.
        timeout = _SEARCH_SECONDS if bar_permutations else None
        response = await services.optimizer.GetStudyReport(request, timeout=timeout)
        if as_json:
            emit_json(response)
            return
        emit_table(study_view.description(response.report.study))
        report_view.show(response.report)

    run(command, as_json=as_json)
