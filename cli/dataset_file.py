"""Files of candles on their way to the data service: their header and their bytes in pieces."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from assay.data.v1.data_service_pb2 import ImportCandlesRequest
from assay.data.v1.dataset_pb2 import ImportHeader
from typer import BadParameter

from cli.progress import Meter

PIECE_BYTES: Final = 1 << 20
TIMEOUT_SECONDS: Final = 3_600.0
"""Time for a whole upload."""


class Accept(enum.Enum):
    """What the user agrees to have mended."""

    GAPS = "gaps"
    DUPLICATES = "duplicates"
    OUT_OF_ORDER = "out-of-order"


class Unit(enum.Enum):
    """Units of numeric times."""

    SECONDS = "s"
    MILLISECONDS = "ms"


class Format(enum.Enum):
    """Forms of files."""

    CSV = "csv"
    PARQUET = "parquet"


_ACCEPTANCES = {
    Accept.GAPS: ImportHeader.ACCEPTANCE_GAPS,
    Accept.DUPLICATES: ImportHeader.ACCEPTANCE_EQUAL_DUPLICATES,
    Accept.OUT_OF_ORDER: ImportHeader.ACCEPTANCE_OUT_OF_ORDER,
}
_UNITS = {
    None: ImportHeader.TIME_UNIT_UNSPECIFIED,
    Unit.SECONDS: ImportHeader.TIME_UNIT_SECONDS,
    Unit.MILLISECONDS: ImportHeader.TIME_UNIT_MILLISECONDS,
}
_FORMATS = {Format.CSV: ImportHeader.FORMAT_CSV, Format.PARQUET: ImportHeader.FORMAT_PARQUET}


def format_of(file: Path) -> Format:
    """Tell a file's form from its name; BadParameter for other names."""
    name = file.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return Format.CSV
    if name.endswith((".parquet", ".pq")):
        return Format.PARQUET
    raise BadParameter(f"{file.name} is neither .csv, .csv.gz nor .parquet; say --format")


def header(
    file: Path,
    *,
    name: str,
    accept: Iterable[Accept] = (),
    columns: Iterable[str] = (),
    unit: Unit | None = None,
    file_format: Format | None = None,
) -> ImportHeader:
    """Return the header of an import.

    Args:
        file: The file; its name tells the form where `file_format` is None.
        name: Full name of the dataset.
        accept: What may be mended.
        columns: Words such as "open_time=ts".
        unit: Unit of numeric times.
        file_format: The file's form.
    """
    return ImportHeader(
        name=name,
        format=_FORMATS[file_format or format_of(file)],
        time_unit=_UNITS[unit],
        columns=dict(_column(word) for word in columns),
        accept=[_ACCEPTANCES[item] for item in accept],
    )


def _column(word: str) -> tuple[str, str]:
    ours, equals, theirs = word.partition("=")
    if not (ours and equals and theirs):
        raise BadParameter(f"--column {word!r}: say for example open_time=ts")
    return ours, theirs


async def pieces(
    file: Path, header: ImportHeader, shown: Meter
) -> AsyncIterator[ImportCandlesRequest]:
    """Yield the header, then the file's bytes in order, showing how far it is."""
    yield ImportCandlesRequest(header=header)
    # Blocking reads of a mebibyte each are no burden on a loop that does nothing else.
    total, done = file.stat().st_size, 0  # noqa: ASYNC240
    with file.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            yield ImportCandlesRequest(file_bytes=piece)
            done += len(piece)
            shown.update(done, total)
