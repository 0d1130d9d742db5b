"""The best trial under stress, on real workers: the same numbers however many there are."""

from __future__ import annotations

from typing import Any

import pytest
from assay.backtest.v1 import stress_pb2
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import stress_pb2 as report_pb2


def test_stress_is_the_same_for_one_and_three_workers(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """Bit for bit, searches on permuted bars among it; the numbers fit the best trial."""
    reports, spec = [], grid_spec | {"seed": "7"}
    options = report_pb2.StressOptions(
        parts=stress_pb2.StressParts(cost_factors=[1.0, 2.0], noise_count=20),
        bar_permutation_count=3,
    )
    for workers in (1, 3):
        system = start_optimizer(workers=workers)
        study = system.watch(system.create("stressed", spec).name, lambda _: None)
        request = pb.GetStudyReportRequest(name=study.name, stress=options)
        reports.append(system.optimizer_stub.GetStudyReport(request, timeout=240).report)
    one, three = (report.stress for report in reports)
    assert one == three
    best = reports[0].best_trials[0]
    assert one.trial == best.name
    assert one.costs[0].metrics == best.metrics
    assert one.costs[0].objective_kept_ratio == 1.0
    assert one.costs[1].metrics.fees_quote > best.metrics.fees_quote
    assert one.delay.metrics.HasField("total_return_ratio")
    assert one.noise.objective.defined_count == 20
    assert one.drops.trade_count >= best.metrics.trade_count
    assert one.drops.total_return_ratio.defined_count == 1_000
    assert 0.0 < one.entry_permutation.p_value <= 1.0
    assert one.entry_permutation.actual_total_return_ratio == pytest.approx(
        best.metrics.total_return_ratio, abs=0.01
    )
    found = one.bar_permutation
    assert (found.variant_count, found.trial_count) == (3, 90)
    assert len(set(found.best_values)) == 3
    assert found.p_value in {0.25, 0.5, 0.75, 1.0}
