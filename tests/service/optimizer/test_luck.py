"""How likely the best trial is luck, over real gRPC: what is run again, and what is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_returns import returns_of
from tests.service.optimizer.scripted_worker import metrics_of, refusal

Refused = Callable[[Any], Any]


async def reported(optimizer: Optimizer, name: str, **request: Any) -> study_pb2.StudyReport:
    """Return a study's report."""
    answer = await optimizer.stub.GetStudyReport(
        pb.GetStudyReportRequest(name=name, **request), timeout=30
    )
    return answer.report


def point_of(trial: study_pb2.Trial) -> dict[str, Any]:
    """Return a trial's parameters."""
    return {one.name: one.value.int_value for one in trial.parameters}


async def test_a_report_tells_how_likely_the_best_is_luck(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """From all trials of the study and all of the ledger; its parts fit together."""
    study = await optimizer.finished(grid_spec)
    report = await reported(optimizer, study.name)
    luck, ledger = report.luck, report.ledger
    trials = [
        one
        for one in await optimizer.trials(study.name)
        if one.state == study_pb2.Trial.STATE_COMPLETE
    ]

    assert luck.trial == report.best_trials[0].name
    assert luck.day_count == 365
    assert luck.trial_count == ledger.evaluated_trial_count
    assert luck.trial_sharpe_variance == pytest.approx(ledger.daily_sharpe_variance, rel=1e-12)
    sharpes = [one.metrics.sharpe_ratio / math.sqrt(365) for one in trials]
    assert luck.trial_sharpe_variance == pytest.approx(np.var(sharpes, ddof=1), rel=1e-12)
    returns = [returns_of(point_of(one)) for one in trials]
    matrix = np.corrcoef(returns)
    mean = (matrix.sum() - len(returns)) / (len(returns) * (len(returns) - 1))
    assert luck.trial_correlation == pytest.approx(mean, rel=1e-9)
    effective = mean + (1 - mean) * luck.trial_count
    assert luck.effective_trial_count == pytest.approx(effective, rel=1e-12)
    found = luck.overfitting
    assert (found.trial_count, found.complete_trial_count) == (len(trials), len(trials))
    assert (found.block_count, found.block_day_count, found.dropped_day_count) == (16, 22, 13)
    assert found.combination_count == 12_870
    assert 0.0 <= found.probability <= 1.0
    # The scripted worker tells neither skewness nor kurtosis.
    assert not luck.HasField("probabilistic_sharpe_ratio")
    kinds = {one.kind for one in luck.warnings}
    assert study_pb2.LuckWarning.KIND_SHARPE_NOT_POSITIVE in kinds
    assert luck.verdict == study_pb2.LuckReport.VERDICT_LIKELY_LUCK


async def test_other_studies_count_but_do_not_scatter_it(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """A study on the same data raises the number of trials, not the variance of this one's."""
    study = await optimizer.finished(grid_spec)
    alone = (await reported(optimizer, study.name)).luck
    narrow = [
        {"name": "fast_period", "int_range": {"low": 5, "high": 7}},
        grid_spec["parameters"][1],
    ]
    await optimizer.finished(grid_spec | {"parameters": narrow})
    after = (await reported(optimizer, study.name)).luck

    assert after.trial_count > alone.trial_count
    assert after.trial_sharpe_variance == alone.trial_sharpe_variance


async def test_the_neighbours_of_the_best_are_run(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """A step in one or two parameters each, with the objective they are told to have."""
    study = await optimizer.finished(grid_spec)
    report = await reported(optimizer, study.name)
    best = point_of(report.best_trials[0])
    near = report.luck.neighborhood
    ranges = {one.name: one.int_range for one in study.spec.parameters}
    values = []
    for one in (-1, 0, 1):
        for other in (-1, 0, 1):
            point = {
                "fast_period": best["fast_period"] + one * ranges["fast_period"].step,
                "slow_period": best["slow_period"] + other * ranges["slow_period"].step,
            }
            inside = all(
                ranges[name].low <= value <= ranges[name].high for name, value in point.items()
            )
            if (one or other) and inside and point["fast_period"] < point["slow_period"]:
                told = metrics_of(point)
                values.append(told["sharpe_ratio"] if told else None)

    known = [value for value in values if value is not None]
    assert near.neighbor_count == len(values)
    assert near.defined_neighbor_count == len(known)
    assert near.best_value == report.best_trials[0].objective_values[0]
    assert near.worst_value == min(known)
    assert near.median_value == np.median(known)
    assert near.mean_value == pytest.approx(np.mean(known))
    assert near.median_kept_ratio == near.median_value / near.best_value


async def test_nothing_is_run_twice_for_reports(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """The second report of the same trials is the first one."""
    study = await optimizer.finished(random_spec)
    first = await reported(optimizer, study.name)
    count = len(optimizer.worker.reruns)
    second = await reported(optimizer, study.name)
    assert count > 0
    assert len(optimizer.worker.reruns) == count
    assert first.luck == second.luck


async def test_luck_is_not_told_unwanted_nor_of_several_objectives(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Then nothing is run again either."""
    study = await optimizer.finished(random_spec)
    alone = {"recommendation": False}
    assert not (await reported(optimizer, study.name, luck=False, **alone)).HasField("luck")
    both = random_spec | {
        "objectives": [
            {"metric": "sharpe_ratio", "direction": "DIRECTION_MAXIMIZE"},
            {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
        ]
    }
    other = await optimizer.finished(both)
    assert not (await reported(optimizer, other.name, **alone)).HasField("luck")
    assert not optimizer.worker.reruns


async def test_workers_that_are_away_fail_the_report(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """With who says why; the next report is whole."""
    study = await optimizer.finished(random_spec)
    optimizer.worker.probe_failure = refusal(
        Code.ABORTED, "DATASET_CHANGED", domain="data.assay", wanted_digest="a", actual_digest="b"
    )
    request = pb.GetStudyReportRequest(name=study.name)
    error = await refused(optimizer.stub.GetStudyReport(request))
    assert (error.reason, error.domain) == ("DATASET_CHANGED", "data.assay")
    optimizer.worker.probe_failure = None
    assert (await reported(optimizer, study.name)).HasField("luck")
