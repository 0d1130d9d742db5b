"""Files of trials, read back with other people's readers."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.optimizer.adapters.analysis import exports
from services.optimizer.adapters.analysis.exports import trial_export
from services.optimizer.core.analysis.trial_export import (
    CHUNK_BYTES,
    ExportFormat,
    ExportLayout,
    export_layout,
)
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.trial import Outcome, Trial, TrialState
from tests.unit.optimizer.in_memory import make_plan

SPACE = Space(
    (
        Parameter("period", IntRange(1, 2**53)),
        Parameter("width", DoubleRange(-1e308, 1e308)),
        Parameter(
            "word", Categories(("plain", 'with "quotes", commas', "line\r\nbreak", "ümläut"))
        ),
        Parameter("fixed_whole", Fixed(3)),
        Parameter("fixed_number", Fixed(2.0)),
        Parameter("fixed_word", Fixed("always")),
    )
)
PLAN = make_plan(
    SPACE,
    objectives=[Objective("sharpe_ratio", maximize=True), Objective("merit", maximize=False)],
)
LAYOUT = export_layout(PLAN, ("sharpe_ratio", "trade_count", "sqn"), frozenset({"trade_count"}))
COLUMNS = [
    "number",
    "state",
    "feasible",
    "generation_number",
    "failure_reason",
    "reused_trial_number",
    "window_number",
    "parameter.period",
    "parameter.width",
    "parameter.word",
    "parameter.fixed_whole",
    "parameter.fixed_number",
    "parameter.fixed_word",
    "objective.sharpe_ratio",
    "objective.merit",
    "metric.sharpe_ratio",
    "metric.trade_count",
    "metric.sqn",
]
AWKWARD = (0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, 1e22, 123456789.0, -2.5e-7)


def made_trials(count: int) -> list[Trial]:
    """Return trials of all states with awkward numbers."""
    draw = random.Random(3)
    words = ("plain", 'with "quotes", commas', "line\r\nbreak", "ümläut")
    trials = []
    for number in range(count):
        state = (TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAILED, TrialState.PRUNED)[
            number % 4
        ]
        value = AWKWARD[number % 8] if number % 3 else draw.uniform(-1, 1)
        metrics = {"sharpe_ratio": value, "trade_count": float(number)}
        if number % 5 == 0:
            metrics["sqn"] = -value
        failed = state is TrialState.FAILED
        complete = state is TrialState.COMPLETE
        trials.append(
            Trial(
                number=number,
                generation_number=number // 4,
                parameters={
                    "period": 2**53 - number,
                    "width": AWKWARD[(number + 3) % 8],
                    "word": words[number % 4],
                    "fixed_whole": 3,
                    "fixed_number": 2.0,
                    "fixed_word": "always",
                },
                state=state,
                objective_values=(value, AWKWARD[(number + 1) % 8]) if complete else (),
                constraint_values=(),
                feasible=complete and number % 8 != 0,
                outcome=Outcome({} if failed else metrics, failure_reason="BAD" if failed else ""),
                start_time_ms=1,
                end_time_ms=2,
                reused_trial_number=number - 4 if number % 6 == 5 else None,
                window_number=number % 3 if number % 5 == 4 else None,
            )
        )
    return trials


def wanted_row(trial: Trial) -> dict[str, Any]:
    """Return what a file must say of a trial; undefined columns left out."""
    metrics = dict(trial.outcome.metrics)
    row: dict[str, Any] = {
        "number": trial.number,
        "state": f"STATE_{trial.state.name}",
        "feasible": trial.feasible,
        "generation_number": trial.generation_number,
    }
    if trial.outcome.failure_reason:
        row["failure_reason"] = trial.outcome.failure_reason
    if trial.reused_trial_number is not None:
        row["reused_trial_number"] = trial.reused_trial_number
    if trial.window_number is not None:
        row["window_number"] = trial.window_number
    row |= {f"parameter.{name}": value for name, value in trial.parameters.items()}
    if trial.objective_values:
        row["objective.sharpe_ratio"], row["objective.merit"] = trial.objective_values
    for name in ("sharpe_ratio", "trade_count", "sqn"):
        if name in metrics:
            value = metrics[name]
            row[f"metric.{name}"] = int(value) if name == "trade_count" else value
    return row


def chunks_of(
    form: ExportFormat, pages: Sequence[Sequence[Trial]], layout: ExportLayout = LAYOUT
) -> list[bytes]:
    """Return a file's chunks."""
    writer = trial_export(form, layout)
    chunks = [chunk for page in pages for chunk in writer.write(page)]
    return [*chunks, *writer.finish()]


def bits(row: dict[str, Any]) -> dict[str, object]:
    """Return a row whose numbers are equal only if their types and bits are."""
    return {
        name: struct.pack("<d", value) if isinstance(value, float) else (type(value), value)
        for name, value in row.items()
    }


def read(form: ExportFormat, data: bytes) -> list[dict[str, Any]]:
    """Read a file; undefined columns are left out of a row."""
    if form is ExportFormat.JSON_LINES:
        return [json.loads(line) for line in data.decode().split("\n")[:-1]]
    if form is ExportFormat.PARQUET:
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
        return [{k: v for k, v in row.items() if v is not None} for row in rows]
    types = dict(exports.columns_of(LAYOUT))
    readers: dict[type, Callable[[str], Any]] = {
        int: int,
        float: float,
        str: str,
        bool: {"true": True, "false": False}.__getitem__,
    }
    lines = csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
    return [
        {name: readers[types[name]](text) for name, text in line.items() if text} for line in lines
    ]


@pytest.mark.parametrize("form", list(ExportFormat))
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_files_read_back_have_the_trials_bit_by_bit(
    form: ExportFormat, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the pages they were written in."""
    monkeypatch.setattr(exports, "_ROW_GROUP", 20)
    trials = made_trials(97)
    pages = [trials[first : first + size] for first in range(0, 97, size)]
    found = read(form, b"".join(chunks_of(form, pages)))

    assert [bits(row) for row in found] == [bits(wanted_row(trial)) for trial in trials]
    assert [list(row) for row in found] == [
        [name for name in COLUMNS if name in wanted_row(trial)] for trial in trials
    ]


def test_csv_is_as_rfc_4180_wants_it() -> None:
    """A header, CRLF line ends, quotes where needed; whole numbers without a point."""
    (trial,) = made_trials(1)
    text = b"".join(chunks_of(ExportFormat.CSV, [[trial]])).decode()

    assert text.startswith(",".join(COLUMNS) + "\r\n0,STATE_COMPLETE,false,0,,,,9007199254740992,")
    assert text.endswith("\r\n")
    (second,) = made_trials(2)[1:]
    quoted = b"".join(chunks_of(ExportFormat.CSV, [[second]])).decode()
    assert ',"with ""quotes"", commas",3,2.0,always,' in quoted


def test_files_without_trials_have_their_columns() -> None:
    """JSON lines, which have none, are empty."""
    assert b"".join(chunks_of(ExportFormat.CSV, [])).decode() == ",".join(COLUMNS) + "\r\n"
    assert chunks_of(ExportFormat.JSON_LINES, [[]]) == []
    table = pq.read_table(io.BytesIO(b"".join(chunks_of(ExportFormat.PARQUET, [[]]))))
    assert (table.num_rows, table.column_names) == (0, COLUMNS)


def test_parquet_has_typed_columns_in_bounded_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that writing holds one row group at a time, however many trials there are."""
    monkeypatch.setattr(exports, "_ROW_GROUP", 30)
    trials = made_trials(100)
    pages = [trials[first : first + 10] for first in range(0, 100, 10)]
    data = b"".join(chunks_of(ExportFormat.PARQUET, pages))
    found = pq.ParquetFile(io.BytesIO(data))
    groups = [found.metadata.row_group(place).num_rows for place in range(found.num_row_groups)]
    types = {field.name: field.type for field in found.schema_arrow}

    assert groups == [30, 30, 30, 10]
    assert types["parameter.fixed_whole"] == types["metric.trade_count"] == pa.int64()
    assert types["parameter.fixed_number"] == types["objective.merit"] == pa.float64()
    assert types["parameter.word"] == types["state"] == pa.string()
    assert types["feasible"] == pa.bool_()


@pytest.mark.parametrize("form", list(ExportFormat))
def test_chunks_are_full_but_for_the_last(form: ExportFormat) -> None:
    """And come while trials are still being read."""
    layout = ExportLayout((), (), tuple(f"m{place}" for place in range(60)), frozenset())
    draw = random.Random(1)
    pages = [
        [
            Trial(
                number,
                0,
                {},
                TrialState.PRUNED,
                (),
                (),
                False,
                Outcome({name: draw.random() for name in layout.metrics}),
                0,
                0,
            )
            for number in range(first, first + 1_000)
        ]
        for first in range(0, 11_000, 1_000)
    ]
    writer = trial_export(form, layout)
    early = [chunk for page in pages for chunk in writer.write(page)]
    chunks = [*early, *writer.finish()]

    assert early
    assert {len(chunk) for chunk in chunks[:-1]} == {CHUNK_BYTES}
    assert 0 < len(chunks[-1]) <= CHUNK_BYTES


def test_numbers_beyond_all_bounds_are_words_in_json() -> None:
    """JSON has no name for them; the others do."""
    layout = ExportLayout((), (), ("up", "down"), frozenset())
    outcome = Outcome({"up": math.inf, "down": -math.inf})
    trial = Trial(0, 0, {}, TrialState.PRUNED, (), (), False, outcome, 0, 0)
    (line,) = chunks_of(ExportFormat.JSON_LINES, [[trial]], layout)
    text = b"".join(chunks_of(ExportFormat.CSV, [[trial]], layout)).decode()

    assert json.loads(line)["metric.up"] == "Infinity"
    assert json.loads(line)["metric.down"] == "-Infinity"
    assert text.endswith(",inf,-inf\r\n")
