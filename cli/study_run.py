"""`assay study run`: a study as a batch job, which may be started twice and may be killed."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Annotated

import grpc
import typer
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1.study_pb2 import Study, StudySpec

from cli import study_view
from cli.connection import Services, run
from cli.failures import EXIT_REFUSED, reported
from cli.options import JsonFlag
from cli.output import emit, emit_json_line, emit_table
from cli.study_file import read_study_file
from cli.watching import follow

_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_PAUSE_SECONDS = 1.0
_REQUESTS = uuid.UUID("6f1c4b1e-6d0a-4a43-9c2b-3a8f6f0f8a11")
"""Space of the request ids made here; any other would do as well."""


def register(app: typer.Typer) -> None:
    """Add the command to the group `assay study`."""
    app.command("run")(run_study)


def run_study(
    file: Annotated[Path, typer.Argument(help="A study file: the YAML or JSON form of StudySpec.")],
    *,
    study_id: Annotated[
        str, typer.Option("--id", "--study-id", metavar="ID", help="The study's id.")
    ],
    resume_failed: Annotated[
        bool, typer.Option("--resume-failed", help="Go on with the study if it had failed.")
    ] = False,
    patience_seconds: Annotated[
        float, typer.Option("--patience", min=0, help="Longest wait for the optimizer, seconds.")
    ] = 120.0,
    as_json: JsonFlag = False,
) -> None:
    """Create a study, or take up the one that this very call has made before, and stay to its end.

    Leaves with 0 only when the study succeeded. The same file and id mean the same study, however
    often and wherever this is called: what a scheduler starts again goes on watching.
    """
    with reported(as_json=as_json):
        spec = read_study_file(file)
    request = _request(study_id.removeprefix("studies/"), spec)

    async def command(services: Services) -> int:
        study = await _created(services, request, patience_seconds)
        if study.state == Study.STATE_FAILED and resume_failed:
            resumed = await services.optimizer.ResumeStudy(pb.ResumeStudyRequest(name=study.name))
            study = resumed.study
        if as_json:
            emit_json_line(pb.CreateStudyResponse(study=study))
        else:
            emit(f"{study.name} is {study_view.state(study)}")
        finished = await follow(services, study, after=0, as_json=as_json)
        if not as_json:
            emit_table(study_view.description(finished))
        return 0 if finished.state == Study.STATE_SUCCEEDED else EXIT_REFUSED

    run(command, as_json=as_json)


def _request(study_id: str, spec: StudySpec) -> pb.CreateStudyRequest:
    """Return a request that is the same one whenever id and spec are."""
    content = f"{study_id}\n{spec.SerializeToString(deterministic=True).hex()}"
    request_id = str(uuid.uuid5(_REQUESTS, content))
    return pb.CreateStudyRequest(study_id=study_id, spec=spec, request_id=request_id)


async def _created(
    services: Services, request: pb.CreateStudyRequest, patience_seconds: float
) -> Study:
    """Create the study, or get the one made before; waits for an optimizer that is away."""
    patient_until = time.monotonic() + patience_seconds
    while True:
        try:
            return (await services.optimizer.CreateStudy(request)).study
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY or time.monotonic() > patient_until:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
