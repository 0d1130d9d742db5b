"""Studies over several data as tables: what the best trial did on each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.data_aggregation_pb2 import DataAggregation
from assay.optimizer.v1.study_pb2 import LedgerEntry, StudyReport, StudySpec, Trial

from cli.figures import enum_word, metric, metric_value
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from rich.table import Table

_USUAL_METRICS = ("total_return_ratio", "sharpe_ratio", "max_drawdown_ratio", "trade_count")


def aggregation(spec: StudySpec) -> str:
    """Return how the outcomes over several data become one; empty where there is only one."""
    if len(spec.data) <= 1:
        return ""
    rule = enum_word(DataAggregation.Rule.Name(spec.data_aggregation.rule).removeprefix("RULE_"))
    return f"{rule} of each objective over {len(spec.data)} data"


def show_results(trial: Trial, spec: StudySpec) -> None:
    """Print what each of several data says of a trial; nothing where there is only one."""
    if trial.dataset_results:
        emit_table(results(trial, spec))


def show(report: StudyReport) -> None:
    """Print what a report with a best trial says of each of several data."""
    emit_table(results(report.best_trials[0], report.study.spec, report))
    emit(
        "what to do with it, how likely it is luck and what stress leaves of it are told for one "
        "snapshot of data only"
    )
    told: list[LedgerEntry] = []
    for entry in report.dataset_ledger:
        if entry.trial_count and entry not in told:
            told.append(entry)
            emit(
                f"tried so far on {entry.dataset} with this strategy: {entry.trial_count:,} trials"
            )


def results(trial: Trial, spec: StudySpec, report: StudyReport | None = None) -> Table:
    """Return a row for each snapshot: objectives, usual metrics, buy-and-hold of a report."""
    objectives = [item.metric for item in spec.objectives]
    extra = [name for name in _USUAL_METRICS if name not in objectives]
    held = ["buy and hold"] if report else []
    numbers = (*objectives, *extra, *held)
    title = f"trial {trial.number:,} on each of the data"
    table = grid(("dataset", *numbers, "remark"), right=numbers, title=title)
    for item in trial.dataset_results:
        values = dict(zip(objectives, item.objective_values, strict=False))
        compared = [report.dataset_buy_and_hold[item.dataset_index]] if report else []
        table.add_row(
            spec.data[item.dataset_index].dataset.removeprefix("datasets/"),
            *(metric_value(name, values[name]) if name in values else "-" for name in objectives),
            *(metric(item.metrics, name) for name in extra),
            *(metric(one, "total_return_ratio") for one in compared),
            item.failure_reason or ("" if item.feasible else "infeasible"),
        )
    return table
