"""Files of trials over several data have columns for each of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq

from services.optimizer.adapters.analysis.exports import trial_export
from services.optimizer.core.analysis.trial_export import ExportFormat, export_layout
from services.optimizer.core.spec.data_aggregation import AggregationRule, DataAggregation
from services.optimizer.core.study.dataset_judging import joined, judged_over_datasets
from services.optimizer.core.study.judge import Slot
from services.optimizer.core.trial import Outcome, Trial
from tests.unit.optimizer.in_memory import make_plan

PLAN = replace(
    make_plan(), aggregation=DataAggregation(AggregationRule.MEAN, ("datasets/a", "datasets/b"))
)
GOOD, NONE = Outcome({"sharpe_ratio": 1 / 3}), Outcome({}, {"sharpe_ratio": 3})
COLUMNS = [
    "dataset.0.feasible",
    "dataset.0.failure_reason",
    "dataset.0.objective.sharpe_ratio",
    "dataset.1.feasible",
    "dataset.1.failure_reason",
    "dataset.1.objective.sharpe_ratio",
]


def trial(number: int, *outcomes: Outcome) -> Trial:
    """Return a trial with these outcomes."""
    point = {"fast_period": 5, "slow_period": 20}
    slot = Slot(number, 0, 1, 2)
    return judged_over_datasets(PLAN, slot, point, joined(PLAN, point, outcomes))


def file_of(form: ExportFormat, trials: Sequence[Trial]) -> bytes:
    """Return a whole file."""
    export = trial_export(form, export_layout(PLAN, ["sharpe_ratio"], frozenset()))
    return b"".join([*export.write(trials), *export.finish()])


def test_what_each_of_the_data_says_stands_behind_the_metrics() -> None:
    """In every format; what is undefined is empty, left out or null."""
    trials = [trial(0, GOOD, GOOD), trial(1, GOOD, NONE)]
    wanted: list[list[Any]] = [
        [True, None, 1 / 3, True, None, 1 / 3],
        [True, None, 1 / 3, False, "OBJECTIVE_UNDEFINED", None],
    ]
    table = pq.read_table(io.BytesIO(file_of(ExportFormat.PARQUET, trials)))
    assert table.column_names[-6:] == COLUMNS
    assert [[row[name] for name in COLUMNS] for row in table.to_pylist()] == wanted

    lines = file_of(ExportFormat.JSON_LINES, trials).decode().splitlines()
    assert [[json.loads(line).get(name) for name in COLUMNS] for line in lines] == wanted

    rows = list(csv.reader(io.StringIO(file_of(ExportFormat.CSV, trials).decode(), newline="")))
    assert rows[0][-6:] == COLUMNS
    assert rows[1][-6:] == ["true", "", repr(1 / 3), "true", "", repr(1 / 3)]
    assert rows[2][-6:] == ["true", "", repr(1 / 3), "false", "OBJECTIVE_UNDEFINED", ""]
