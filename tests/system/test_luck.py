"""How likely the best trial is luck, on real workers: the same numbers however many there are."""

from __future__ import annotations

from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2


def test_luck_is_the_same_for_one_and_three_workers(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """Bit for bit; the numbers fit the trials."""
    reports = []
    for workers in (1, 3):
        system = start_optimizer(workers=workers)
        study = system.watch(system.create("lucky", grid_spec).name, lambda _: None)
        request = pb.GetStudyReportRequest(name=study.name)
        reports.append(system.optimizer_stub.GetStudyReport(request, timeout=120).report)
    one, three = (report.luck for report in reports)
    assert one == three
    best = reports[0].best_trials[0]
    assert one.trial == best.name
    assert one.trial_count == 90
    assert one.daily_sharpe_ratio == pytest.approx(best.metrics.sharpe_ratio / 365**0.5)
    assert 0.0 < one.probabilistic_sharpe_ratio < 1.0
    assert one.deflated_sharpe_ratio < one.probabilistic_sharpe_ratio
    assert one.effective_trial_count < 90
    assert one.effective_deflated_sharpe_ratio >= one.deflated_sharpe_ratio
    assert one.overfitting.combination_count == 12_870
    assert 0.0 <= one.overfitting.probability <= 1.0
    assert one.neighborhood.neighbor_count > 0
    assert one.verdict != study_pb2.LuckReport.VERDICT_UNSPECIFIED


def test_resampling_is_of_the_returns_that_backtests_tell(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """The best trial's statistics are those of its equity curve; all numbers fit together."""
    system = start_optimizer(workers=1)
    study = system.watch(system.create("resampled", grid_spec).name, lambda _: None)
    request = pb.GetStudyReportRequest(name=study.name)
    report = system.optimizer_stub.GetStudyReport(request, timeout=120).report
    luck, best = report.luck, report.best_trials[0]
    told = {one.name: one for one in luck.intervals.intervals}
    assert told["sharpe_ratio"].value == pytest.approx(best.metrics.sharpe_ratio, rel=1e-9)
    for one in told.values():
        assert one.lower < one.upper
    crossed = luck.cross_validation
    assert len(crossed.path_sharpe_ratios) == crossed.path_count == 9
    assert crossed.mean_training_sharpe_ratio > crossed.mean_path_sharpe_ratio
    for test in (luck.superior_ability.cash, luck.superior_ability.buy_and_hold):
        assert 0.0 <= test.lower_p_value <= test.consistent_p_value <= test.upper_p_value <= 1.0
        assert test.compared_trial_count == luck.overfitting.trial_count
