"""`assay study`: create, watch, steer and delete studies.

Their limits, reruns and files are in `study_change`, their results in `study_results`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1.study_pb2 import Study

from cli import study_view
from cli.connection import Services, run
from cli.failures import reported
from cli.options import JsonFlag, StudyArgument
from cli.output import emit, emit_json, emit_json_line, emit_table
from cli.study_file import read_study_file
from cli.watching import follow, status_of

app = typer.Typer(help="Searches for parameters, and what they found.", no_args_is_help=True)

WatchFlag = Annotated[bool, typer.Option("--watch", help="Stay until the study ends.")]
IdOption = Annotated[
    str, typer.Option("--id", "--study-id", metavar="ID", help="The study's id. Unset: made up.")
]
RequestIdOption = Annotated[str, typer.Option(help="Repeating it returns the study it made.")]


@app.command()
def create(
    file: Annotated[Path, typer.Argument(help="A study file: the YAML or JSON form of StudySpec.")],
    *,
    study_id: IdOption = "",
    request_id: RequestIdOption = "",
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check and estimate; store nothing.")
    ] = False,
    watch: WatchFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Create a study from a file and start it."""
    with reported(as_json=as_json):
        spec = read_study_file(file)
    request = pb.CreateStudyRequest(
        study_id=study_id.removeprefix("studies/"),
        spec=spec,
        request_id=request_id,
        validate_only=validate_only,
    )

    async def command(services: Services) -> int:
        return await created(services, request, watch=watch, as_json=as_json)

    run(command, as_json=as_json)


async def created(
    services: Services, request: pb.CreateStudyRequest, *, watch: bool, as_json: bool
) -> int:
    """Create a study, tell of it, stay where that is wanted; returns the exit status."""
    response = await services.optimizer.CreateStudy(request)
    stays = watch and not request.validate_only
    if as_json:
        (emit_json_line if stays else emit_json)(response)
    elif request.validate_only:
        emit_table(study_view.estimate(response))
    else:
        emit(f"created {response.study.name}")
        _warn(response.study)
    return await _watch(services, response.study, 0, as_json=as_json) if stays else 0


@app.command()
def watch(
    name: StudyArgument,
    *,
    after: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Last event already seen.")
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Follow a study to its end; leaves with 1 when it failed."""

    async def command(services: Services) -> int:
        answer = await services.optimizer.GetStudy(pb.GetStudyRequest(name=name))
        return await _watch(services, answer.study, after, as_json=as_json)

    run(command, as_json=as_json)


async def _watch(services: Services, study: Study, after: int, *, as_json: bool) -> int:
    finished = await follow(services, study, after=after, as_json=as_json)
    if not as_json:
        emit_table(study_view.description(finished))
    return status_of(finished)


@app.command("pause")
@app.command()
def stop(name: StudyArgument, *, as_json: JsonFlag = False) -> None:
    """Ask a study to stop after the generation in hand; `resume` goes on with it."""

    async def command(services: Services) -> None:
        response = await services.optimizer.StopStudy(pb.StopStudyRequest(name=name))
        if as_json:
            emit_json(response)
        else:
            emit(f"{name} is {study_view.state(response.study)}")

    run(command, as_json=as_json)


@app.command()
def resume(name: StudyArgument, *, watch: WatchFlag = False, as_json: JsonFlag = False) -> None:
    """Go on with a stopped or failed study, or with one whose limits were raised."""

    async def command(services: Services) -> int:
        response = await services.optimizer.ResumeStudy(pb.ResumeStudyRequest(name=name))
        if as_json:
            (emit_json_line if watch else emit_json)(response)
        else:
            emit(f"{name} is {study_view.state(response.study)}")
        return await _watch(services, response.study, 0, as_json=as_json) if watch else 0

    run(command, as_json=as_json)


@app.command()
def delete(name: StudyArgument, *, as_json: JsonFlag = False) -> None:
    """Delete a study with its trials."""

    async def command(services: Services) -> None:
        response = await services.optimizer.DeleteStudy(pb.DeleteStudyRequest(name=name))
        if as_json:
            emit_json(response)
        else:
            emit(f"deleted {name}")

    run(command, as_json=as_json)


def _warn(study: Study) -> None:
    for warning in study.warnings:
        typer.echo(f"warning: {warning}", err=True)
