"""`assay study limits | rerun | export`: when a study ends, doing it again, taking it elsewhere."""

from __future__ import annotations

import enum
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1.study_pb2 import StopRule
from google.protobuf.duration_pb2 import Duration

from cli import study_view
from cli.connection import Services, run
from cli.failures import BadUsageError, reported
from cli.options import JsonFlag, StudyArgument
from cli.output import emit, emit_json, emit_table
from cli.study import IdOption, RequestIdOption, WatchFlag, created

_NONE: Final = "none"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class FileFormat(enum.Enum):
    """Files of trials."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


_FORMATS: Final = {
    FileFormat.CSV: pb.ExportTrialsRequest.FORMAT_CSV,
    FileFormat.JSONL: pb.ExportTrialsRequest.FORMAT_JSON_LINES,
    FileFormat.PARQUET: pb.ExportTrialsRequest.FORMAT_PARQUET,
}


def register(app: typer.Typer) -> None:
    """Add these commands to the group `assay study`."""
    app.command()(limits)
    app.command()(rerun)
    app.command()(export)


def limits(
    name: StudyArgument,
    *,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials the study will have.")] = None,
    max_duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help='Longest running time: "90s", "30m", "2h", "1d".'),
    ] = None,
    patience: Annotated[
        str | None, typer.Option(metavar="TRIALS", help="Trials in a row without a new best.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="VALUE", help="An objective that is good enough.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show when a study ends, or change it; what is not given stays, "none" turns a rule off."""
    with reported(as_json=as_json):
        given = StopRule()
        if max_duration not in {None, _NONE}:
            given.max_duration.CopyFrom(duration(str(max_duration)))
        if patience not in {None, _NONE}:
            given.patience_trial_count = int(number(str(patience), "--patience", whole=True))
        if target not in {None, _NONE}:
            given.target_value = number(str(target), "--target")
    words = {
        "max_duration": max_duration,
        "patience_trial_count": patience,
        "target_value": target,
    }

    async def command(services: Services) -> None:
        answer = await services.optimizer.GetStudy(pb.GetStudyRequest(name=name))
        request = pb.UpdateStudyLimitsRequest(name=name, trial_count=trials)
        if any(word is not None for word in words.values()):
            request.stop_rule.CopyFrom(answer.study.limits.stop_rule)
            for field, word in words.items():
                if word == _NONE:
                    request.stop_rule.ClearField(field)  # type: ignore[arg-type]
            request.stop_rule.MergeFrom(given)
        study = answer.study
        if request.HasField("stop_rule") or trials is not None:
            study = (await services.optimizer.UpdateStudyLimits(request)).study
        if as_json:
            emit_json(pb.UpdateStudyLimitsResponse(study=study))
        else:
            emit_table(study_view.limits(study))

    run(command, as_json=as_json)


def rerun(
    name: StudyArgument,
    *,
    study_id: IdOption = "",
    request_id: RequestIdOption = "",
    watch: WatchFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a study again from its stored spec: the same trials, by the same digest."""
    request = pb.CreateStudyRequest(
        study_id=study_id.removeprefix("studies/"), request_id=request_id, rerun_of=name
    )

    async def command(services: Services) -> int:
        return await created(services, request, watch=watch, as_json=as_json)

    run(command, as_json=as_json)


def export(
    name: StudyArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    file_format: Annotated[FileFormat, typer.Option("--format", help="What file.")] = (
        FileFormat.CSV
    ),
    as_json: JsonFlag = False,
) -> None:
    """Write all trials of a study to a file, which is there only when it is whole."""
    request = pb.ExportTrialsRequest(parent=name, format=_FORMATS[file_format])
    part = output.with_name(f"{output.name}.part")

    async def command(services: Services) -> None:
        size = 0
        try:
            with part.open("wb") as file:
                async for response in services.optimizer.ExportTrials(request):
                    size += file.write(response.chunk)
            part.replace(output)
        except OSError as error:
            raise BadUsageError(f"{output} cannot be written: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)
        if not as_json:
            emit(f"wrote {output}: {size:,} bytes")

    run(command, as_json=as_json)


def duration(text: str) -> Duration:
    """Read "90s", "30m", "2h" or "1d"; a number alone is in seconds."""
    unit = text[-1:]
    value = number(text.removesuffix(unit) if unit in _SECONDS else text, "--max-duration")
    read = Duration()
    try:
        read.FromTimedelta(timedelta(seconds=value * _SECONDS.get(unit, 1)))
    except (OverflowError, ValueError):
        raise BadUsageError(f"{text!r} is no duration for --max-duration") from None
    return read


def number(text: str, option: str, *, whole: bool = False) -> float:
    """Read an option's number; BadUsageError where it is none."""
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise BadUsageError(f'{text!r} is no {kind} for {option}, and not "{_NONE}"') from None
