"""Files of trials: CSV (RFC 4180), JSON lines, Apache Parquet. Written page by page."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from services.optimizer.core.analysis.trial_export import (
    CHUNK_BYTES,
    ExportFormat,
    ExportLayout,
    TrialExport,
)
from services.optimizer.core.trial import Trial

Cell: TypeAlias = int | float | str | bool | None

_COMMON: Final[tuple[tuple[str, type], ...]] = (
    ("number", int),
    ("state", str),
    ("feasible", bool),
    ("generation_number", int),
    ("failure_reason", str),
    ("reused_trial_number", int),
    ("window_number", int),
)

_ROW_GROUP: Final = 10_000
"""Trials of a row group of Parquet, which is what is held in memory: about 10 MB."""

_BATCH: Final = 1_000
"""Trials turned into columns at once."""

_ARROW_TYPES: Final = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}


def trial_export(form: ExportFormat, layout: ExportLayout) -> TrialExport:
    """Return a writer of a new file."""
    if form is ExportFormat.CSV:
        return _CsvExport(layout)
    return _JsonLinesExport(layout) if form is ExportFormat.JSON_LINES else _ParquetExport(layout)


def columns_of(layout: ExportLayout) -> list[tuple[str, type]]:
    """Return the names of a file's columns in order, with the types of their values."""
    return [
        *_COMMON,
        *((f"parameter.{name}", kind) for name, kind in layout.parameters),
        *((f"objective.{name}", float) for name in layout.objectives),
        *(
            (f"metric.{name}", int if name in layout.whole_metrics else float)
            for name in layout.metrics
        ),
        *(column for place in range(layout.dataset_count) for column in _of_dataset(place, layout)),
    ]


def _of_dataset(place: int, layout: ExportLayout) -> Iterator[tuple[str, type]]:
    yield f"dataset.{place}.feasible", bool
    yield f"dataset.{place}.failure_reason", str
    for name in layout.objectives:
        yield f"dataset.{place}.objective.{name}", float


def cells_of(trial: Trial, layout: ExportLayout) -> list[Cell]:
    """Return a trial's row: one value per column, None where it is undefined."""
    metrics = trial.outcome.metrics
    row: list[Cell] = [
        trial.number,
        f"STATE_{trial.state.name}",
        trial.feasible,
        trial.generation_number,
        trial.outcome.failure_reason or None,
        trial.reused_trial_number,
        trial.window_number,
        *(trial.parameters.get(name) for name, _ in layout.parameters),
        *(trial.objective_values or (None,) * len(layout.objectives)),
    ]
    for name in layout.metrics:
        value = metrics.get(name)
        row.append(int(value) if value is not None and name in layout.whole_metrics else value)
    for result in trial.outcome.dataset_results:
        row += [result.feasible, result.failure_reason or None]
        row += result.objective_values or (None,) * len(layout.objectives)
    return row


class _Chunks(io.RawIOBase):
    """Bytes written and not yet taken; a file that only grows."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()
        self._taken = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._taken + len(self._waiting)

    def write(self, data: object) -> int:
        written = bytes(memoryview(data))  # type: ignore[arg-type] # whatever Arrow hands over
        self._waiting += written
        return len(written)

    def taken(self, *, whole: bool = False) -> Iterator[bytes]:
        """Take all full chunks; with `whole` the rest as well."""
        while len(self._waiting) >= CHUNK_BYTES or (whole and self._waiting):
            chunk = bytes(self._waiting[:CHUNK_BYTES])
            del self._waiting[:CHUNK_BYTES]
            self._taken += len(chunk)
            yield chunk


class _CsvExport:
    """A `TrialExport` of comma-separated values: a header, then a line per trial."""

    def __init__(self, layout: ExportLayout) -> None:
        self._layout = layout
        self._chunks = _Chunks()
        self._append(name for name, _ in columns_of(layout))

    def write(self, trials: Sequence[Trial]) -> Iterator[bytes]:
        """Take the next trials; yield full chunks."""
        for trial in trials:
            self._append(map(_in_csv, cells_of(trial, self._layout)))
            yield from self._chunks.taken()

    def finish(self) -> Iterator[bytes]:
        """Yield the rest."""
        yield from self._chunks.taken(whole=True)

    def _append(self, cells: Iterable[Cell]) -> None:
        text = io.StringIO(newline="")
        # RFC 4180 by default; floats are written as the shortest text with the same bits.
        csv.writer(text).writerow(cells)
        self._chunks.write(text.getvalue().encode())


class _JsonLinesExport:
    """A `TrialExport` of one JSON object per line."""

    def __init__(self, layout: ExportLayout) -> None:
        self._layout = layout
        self._names = [name for name, _ in columns_of(layout)]
        self._chunks = _Chunks()

    def write(self, trials: Sequence[Trial]) -> Iterator[bytes]:
        """Take the next trials; yield full chunks."""
        for trial in trials:
            cells = zip(self._names, cells_of(trial, self._layout), strict=True)
            row = {name: _in_json(cell) for name, cell in cells if cell is not None}
            text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            self._chunks.write(f"{text}\n".encode())
            yield from self._chunks.taken()

    def finish(self) -> Iterator[bytes]:
        """Yield the rest."""
        yield from self._chunks.taken(whole=True)


class _ParquetExport:
    """A `TrialExport` of Parquet; a row group is held until it is full."""

    def __init__(self, layout: ExportLayout) -> None:
        self._layout = layout
        self._chunks = _Chunks()
        fields = [(name, _ARROW_TYPES[kind]) for name, kind in columns_of(layout)]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(pa.PythonFile(self._chunks, mode="w"), self._schema)
        self._waiting: list[pa.RecordBatch] = []

    def write(self, trials: Sequence[Trial]) -> Iterator[bytes]:
        """Take the next trials; yield full chunks of full row groups."""
        for first in range(0, len(trials), _BATCH):
            rows = [cells_of(trial, self._layout) for trial in trials[first : first + _BATCH]]
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*rows, strict=True), self._schema, strict=True)
            ]
            self._waiting.append(pa.record_batch(columns, schema=self._schema))
            if sum(map(len, self._waiting)) >= _ROW_GROUP:
                self._write_group()
            yield from self._chunks.taken()

    def finish(self) -> Iterator[bytes]:
        """Yield the last row group and the footer."""
        self._write_group()
        self._writer.close()
        yield from self._chunks.taken(whole=True)

    def _write_group(self) -> None:
        if self._waiting:
            group = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(group, row_group_size=len(group))
            self._waiting.clear()


def _in_csv(cell: Cell) -> Cell:
    return str(cell).lower() if isinstance(cell, bool) else cell


def _in_json(cell: Cell) -> Cell:
    """Return a value JSON knows; numbers beyond all bounds as the text protobuf's JSON uses."""
    if isinstance(cell, float) and math.isinf(cell):
        return "Infinity" if cell > 0 else "-Infinity"
    return cell
