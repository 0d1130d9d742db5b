"""Arguments and options that several commands share, and how their words are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from assay.market.v1.candles_pb2 import TimeWindow
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_ms(text: str) -> int:
    """Read an ISO 8601 date or time as ms since the epoch; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; say for example 2024-01-01 or 2024-01-01T06:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.microsecond % 1000:
        raise typer.BadParameter(f"{text!r} is finer than a millisecond")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def window_of(start_ms: int | None, end_ms: int | None) -> TimeWindow | None:
    """Return the window of --start and --end; None where neither is given."""
    if start_ms is None and end_ms is None:
        return None
    return TimeWindow(start_time=_timestamp(start_ms), end_time=_timestamp(end_ms))


def _timestamp(time_ms: int | None) -> Timestamp | None:
    if time_ms is None:
        return None
    timestamp = Timestamp()
    timestamp.FromMilliseconds(time_ms)
    return timestamp


def resource_name(collection: str, text: str) -> str:
    """Return the full name of a resource that may be given without its collection."""
    prefix = f"{collection}/"
    return text if text.startswith(prefix) else prefix + text


def dataset_name(text: str) -> str:
    """Return "datasets/x" for "x" and for "datasets/x"."""
    return resource_name("datasets", text)


def strategy_name(text: str) -> str:
    """Return "strategies/x" for "x" and for "strategies/x"."""
    return resource_name("strategies", text)


def study_name(text: str) -> str:
    """Return "studies/x" for "x" and for "studies/x"."""
    return resource_name("studies", text)


JsonFlag = Annotated[bool, typer.Option("--json", help="Print the answer in protobuf's JSON form.")]
DatasetArgument = Annotated[
    str,
    typer.Argument(metavar="DATASET", parser=dataset_name, help='"datasets/" may be left out.'),
]
StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", parser=study_name, help='"studies/" may be left out.')
]
StartOption = Annotated[
    int | None,
    typer.Option("--start", parser=time_ms, metavar="TIME", help="First open time wanted, UTC."),
]
EndOption = Annotated[
    int | None,
    typer.Option("--end", parser=time_ms, metavar="TIME", help="First open time not wanted, UTC."),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=0,
        help="Most entries; 0 for all. Without it: 50 in a table, all with --json.",
    ),
]
