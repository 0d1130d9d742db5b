"""CSV, gzipped CSV and Parquet files, read by pyarrow into rows as they stand."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from services.common.errors import AssayError, Violation, fields_invalid
from services.data.adapters.cells import numbers, times
from services.data.core import rows as tables
from services.data.core.quality import Upload
from services.data.core.uploads import (
    UNPACKED_LIMIT_BYTES,
    FileFormat,
    FilePlan,
    match_columns,
    too_large,
)

_GZIP_MAGIC = b"\x1f\x8b"


class FileReader:
    """`UploadReader` for files in memory."""

    def read(self, content: bytes, plan: FilePlan) -> Upload:
        """Return the rows of a file in their order, unchecked; see `UploadReader`."""
        if plan.format is FileFormat.PARQUET:
            columns, found = _read_parquet(content, plan)
        else:
            columns, found = _read_csv(_unpacked(content), plan)
        path = "funding" if plan.interval is None else "candles"
        names = [f"{path}.{name}" for name in tables.column_names(plan.interval)]
        clock = times(columns[0], plan.time_unit, names[0])
        others = [numbers(*pair) for pair in zip(columns[1:], names[1:], strict=True)]
        rows = tables.make(plan.interval, [clock.values, *(column.values for column in others)])
        for column in (clock, *others):
            found += column.violations
        read = zip(tables.column_names(plan.interval), (clock, *others), strict=True)
        return Upload(rows, {name: column.unread for name, column in read}, tuple(found))


def _unpacked(content: bytes) -> bytes:
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            plain = packed.read(UNPACKED_LIMIT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(f"is no whole gzip file: {error}") from error
    if len(plain) > UNPACKED_LIMIT_BYTES:
        raise too_large(UNPACKED_LIMIT_BYTES, "unpacked file")
    return plain


def _read_csv(content: bytes, plan: FilePlan) -> tuple[list[Any], list[Violation]]:
    """Return the wanted columns as text, and what is wrong with the shape of the rows."""
    if b"\n" not in content:
        content += b"\n"
    header = _header(content)
    places = _places(header, plan)
    names = [f"column {place}" for place in range(len(header))]
    skewed = _SkewedRows(len(header))
    try:
        table = pacsv.read_csv(
            io.BytesIO(content),
            # One thread, because only then rows know their number.
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=pacsv.ParseOptions(invalid_row_handler=skewed.note),
            convert_options=pacsv.ConvertOptions(
                include_columns=[names[places[cell]] for cell in plan.cells],
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise _unreadable(f"cannot be read as CSV: {error}") from error
        return [pa.array([], pa.string()) for _ in plan.cells], []
    columns = [table.column(place) for place in range(len(plan.cells))]
    return columns, skewed.violations(plan)


def _header(content: bytes) -> list[str]:
    line = content.split(b"\n", 1)[0]
    try:
        return next(csv.reader([line.decode("utf-8-sig")]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(f"has no header line of UTF-8 text: {error}") from error


class _SkewedRows:
    """Counts rows with another number of cells than the header."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._count = 0
        self._first = ""

    def note(self, row: Any) -> str:
        if not self._count:
            # Arrow counts the header too.
            self._first = f"row {row.number - 1:,} with {row.actual_columns}: {row.text[:80]!r}"
        self._count += 1
        return "skip"

    def violations(self, plan: FilePlan) -> list[Violation]:
        if not self._count:
            return []
        path = "funding" if plan.interval is None else "candles"
        rows = "1 row has" if self._count == 1 else f"{self._count:,} rows have"
        what = f"{rows} not the header's {self._expected} cells, first {self._first}"
        return [Violation(path, what)]


def _read_parquet(content: bytes, plan: FilePlan) -> tuple[list[Any], list[Violation]]:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        header = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(f"is no Parquet file: {error}") from error
    places = _places(header, plan)
    if file.metadata.num_rows * 8 * len(plan.cells) > UNPACKED_LIMIT_BYTES:
        raise too_large(UNPACKED_LIMIT_BYTES, "unpacked file")
    wanted = [header[places[cell]] for cell in plan.cells]
    try:
        table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(f"is a broken Parquet file: {error}") from error
    return [table.column(name) for name in wanted], []


def _places(header: list[str], plan: FilePlan) -> dict[str, int]:
    places, violations = match_columns(header, plan)
    if violations:
        raise fields_invalid(violations)
    return places


def _unreadable(what: str) -> AssayError:
    return fields_invalid([Violation("file_bytes", what)])
