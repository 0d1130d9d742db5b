"""The messages of an import: one header, then the content in pieces of one kind."""

from __future__ import annotations

import numpy as np
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import dataset_pb2
from assay.market.v1.candles_pb2 import CandleColumns, FundingColumns

from services.common.errors import AssayError, Violation, fields_invalid, refuse
from services.data.core import rows as tables
from services.data.core.catalog import DatasetName, parse_name
from services.data.core.quality import Acceptance, Upload
from services.data.core.uploads import (
    PIECE_LIMIT_BYTES,
    UPLOAD_LIMIT_BYTES,
    FileFormat,
    FilePlan,
    TimeUnit,
    too_large,
    unknown_columns,
)

_Header = dataset_pb2.ImportHeader
_FORMATS = {
    _Header.FORMAT_CSV: FileFormat.CSV,
    _Header.FORMAT_PARQUET: FileFormat.PARQUET,
    _Header.FORMAT_COLUMNS: None,
}
_UNITS = {
    _Header.TIME_UNIT_UNSPECIFIED: TimeUnit.TOLD,
    _Header.TIME_UNIT_SECONDS: TimeUnit.SECONDS,
    _Header.TIME_UNIT_MILLISECONDS: TimeUnit.MILLISECONDS,
}
_ACCEPTANCES = {
    _Header.ACCEPTANCE_GAPS: Acceptance.GAPS,
    _Header.ACCEPTANCE_EQUAL_DUPLICATES: Acceptance.EQUAL_DUPLICATES,
    _Header.ACCEPTANCE_OUT_OF_ORDER: Acceptance.OUT_OF_ORDER,
}


class Intake:
    """Collects an import message by message, as `header`, then `add` for each one after it.

    Attributes:
        name: The dataset to create or replace.
        accept: What may be mended.
        plan: How to read the file; None where the content comes as columns.
    """

    def __init__(self, first: pb.ImportCandlesRequest) -> None:
        """Read the header; AssayError FIELD_INVALID with every violation."""
        if first.WhichOneof("content") != "header":
            raise fields_invalid([Violation("header", "is required in the first message")])
        header = first.header
        name, found = parse_name(header.name, "header.name")
        found += _header_problems(header, name)
        plan = _plan(header, name)
        if plan is not None:
            found += unknown_columns(plan)
        refuse(found)
        if name is None:
            raise AssertionError("a name without violations is a name")
        self.name: DatasetName = name
        self.accept = frozenset(_ACCEPTANCES[number] for number in header.accept)
        self.plan = plan
        self._wanted = _content_field(plan, name)
        self._bytes = bytearray()
        self._names = tables.column_names(name.interval)
        # Grown in place: an array for each piece would cost more than the numbers in it.
        self._columns = {field: bytearray() for field in self._names}
        self._size = 0

    def add(self, message: pb.ImportCandlesRequest) -> None:
        """Take one piece; AssayError FIELD_INVALID, UPLOAD_TOO_LARGE."""
        kind = message.WhichOneof("content")
        if kind != self._wanted:
            raise self._unwanted(kind)
        if kind == "file_bytes":
            self._add_bytes(message.file_bytes)
        elif kind == "candles":
            self._add_columns(message.candles)
        else:
            self._add_columns(message.funding)

    def content(self) -> bytes:
        """Return the file; AssayError FIELD_INVALID where nothing was sent."""
        if not self._bytes:
            raise fields_invalid([Violation("file_bytes", "nothing was sent")])
        return bytes(self._bytes)

    def upload(self) -> Upload:
        """Return the rows that came as columns."""
        columns = (np.frombuffer(held, _kind(field)) for field, held in self._columns.items())
        return Upload(tables.make(self.name.interval, columns))

    def _add_bytes(self, piece: bytes) -> None:
        if len(piece) > PIECE_LIMIT_BYTES:
            what = f"a piece has {len(piece):,} bytes; at most {PIECE_LIMIT_BYTES:,} are taken"
            raise fields_invalid([Violation("file_bytes", what)])
        self._grow(len(piece))
        self._bytes += piece

    def _add_columns(self, message: CandleColumns | FundingColumns) -> None:
        lengths = {field: len(getattr(message, field)) for field in self._names}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise fields_invalid([Violation(self._wanted, f"columns differ in length: {told}")])
        self._grow(8 * sum(lengths.values()))
        for field, held in self._columns.items():
            held.extend(np.array(getattr(message, field), _kind(field)).tobytes())

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > UPLOAD_LIMIT_BYTES:
            raise too_large(UPLOAD_LIMIT_BYTES, "upload")

    def _unwanted(self, kind: str | None) -> AssayError:
        if kind is None:
            return fields_invalid([Violation("content", "is required in every message")])
        if kind == "header":
            return fields_invalid([Violation("header", "stands in the first message only")])
        what = f"the header announced {self._wanted} for {self.name.full}"
        return fields_invalid([Violation(kind, what)])


def _header_problems(header: _Header, name: DatasetName | None) -> list[Violation]:
    found = []
    if name is not None and name.is_synthetic:
        found.append(
            Violation("header.name", f"{name.full!r}: synthetic names hold made-up data only")
        )
    if header.format not in _FORMATS:
        found.append(Violation("header.format", "must be CSV, PARQUET or COLUMNS"))
    if header.time_unit not in _UNITS:
        found.append(Violation("header.time_unit", f"{header.time_unit} is no unit of time"))
    if header.format == _Header.FORMAT_COLUMNS:
        found += [
            Violation(f"header.{field}", "is for files; FORMAT_COLUMNS says it already")
            for field, given in (("time_unit", header.time_unit), ("columns", header.columns))
            if given
        ]
    found += [
        Violation(f"header.accept[{place}]", f"{number} is nothing that can be accepted")
        for place, number in enumerate(header.accept)
        if number not in _ACCEPTANCES
    ]
    return found


def _plan(header: _Header, name: DatasetName | None) -> FilePlan | None:
    kind = _FORMATS.get(header.format)
    if kind is None or name is None:
        return None
    unit = _UNITS.get(header.time_unit, TimeUnit.TOLD)
    return FilePlan(kind, name.interval, unit, dict(header.columns))


def _kind(column: str) -> type[np.generic]:
    return np.int64 if column.endswith("_time_ms") else np.float64


def _content_field(plan: FilePlan | None, name: DatasetName) -> str:
    if plan is not None:
        return "file_bytes"
    return "funding" if name.interval is None else "candles"
