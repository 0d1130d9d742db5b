"""The demo's study: what it searches, and how its result is told."""

from __future__ import annotations

import time
from typing import Any

from assay.data.v1.dataset_pb2 import Dataset
from assay.optimizer.v1.optimizer_service_pb2 import CreateStudyRequest, GetStudyReportRequest
from assay.optimizer.v1.study_pb2 import Study, StudyReport, StudySpec
from google.protobuf.json_format import ParseDict

from cli.connection import Services
from cli.failures import RefusedError
from cli.figures import metric_value, value
from cli.output import emit, emit_table, grid
from cli.report_view import comparison, importance
from cli.study_view import objective
from cli.watching import follow

_SPEC: dict[str, Any] = {
    "strategy": {"name": "strategies/ma_crossover", "direction": "DIRECTION_LONG"},
    "parameters": [
        {"name": "fast_period", "int_range": {"low": 5, "high": 60}},
        {"name": "slow_period", "int_range": {"low": 20, "high": 240}},
        {"name": "average", "categories": {"values": ["sma", "ema"]}},
    ],
    "constraints": ["fast_period < slow_period"],
    "objectives": [{"metric": "sharpe_ratio", "direction": "DIRECTION_MAXIMIZE"}],
    "bayesian": {"trial_count": 100},
    "seed": 42,
}


def spec(dataset: str) -> StudySpec:
    """Return the demo's study on a dataset: examples/studies/ma_crossover_tpe.yaml."""
    return ParseDict({**_SPEC, "data": [{"dataset": dataset}]}, StudySpec())


async def search(services: Services, dataset: Dataset, started: float) -> None:
    """Run the study on a dataset and print what it found.

    Args:
        services: The running services.
        dataset: The candles.
        started: When the demo began, by the monotonic clock.

    Raises:
        RefusedError: the study failed.
    """
    created = time.monotonic()
    request = CreateStudyRequest(spec=spec(dataset.name))
    study = (await services.optimizer.CreateStudy(request)).study
    _tell_plan(study)
    finished = await follow(services, study, after=0, as_json=False)
    if finished.state != Study.STATE_SUCCEEDED:
        raise RefusedError(f"the study did not succeed: {finished.error.message}")
    searched = time.monotonic() - created
    answer = await services.optimizer.GetStudyReport(GetStudyReportRequest(name=study.name))
    _tell_result(answer.report)
    for warning in finished.warnings:
        emit(f"warning: {warning}")
    count = finished.progress.finished_trial_count
    emit(f"{count} trials in {searched:.1f} s; all in {time.monotonic() - started:.1f} s")


def _tell_plan(study: Study) -> None:
    names = ", ".join(item.name for item in study.spec.parameters)
    aims = ", ".join(objective(item) for item in study.spec.objectives)
    strategy = study.spec.strategy.name.removeprefix("strategies/")
    trials = study.progress.total_trial_count
    emit(f"searching {names} of {strategy}: {aims}, Bayesian, {trials} trials")


def _tell_result(report: StudyReport) -> None:
    if not report.best_trials:
        emit("no trial has a Sharpe ratio; a longer piece of data may help")
        return
    best = report.best_trials[0]
    shares = {item.name: item.share_ratio for entry in report.importances for item in entry.shares}
    numbers = ("best value", "importance")
    table = grid(("parameter", *numbers), title=f"best: trial {best.number}", right=numbers)
    for item in best.parameters:
        share = f"{shares[item.name]:.0%}" if item.name in shares else "-"
        table.add_row(item.name, value(item.value), share)
    emit()
    emit_table(table)
    if not shares:
        for entry in report.importances:
            emit(importance(entry))
    emit_table(comparison(report, "best trial"))
    aim = report.study.spec.objectives[0].metric
    emit(f"best {aim}: {metric_value(aim, best.objective_values[0])}")
    if report.parameters_at_edge:
        emit(f"at the edge of its range: {', '.join(report.parameters_at_edge)}")
    emit(f"trials digest: {report.study.trials_digest}")
    emit("the best of many trials flatters: judge it on data that it has not seen")
