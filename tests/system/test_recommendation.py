"""What to do with a study's result, on real workers: the same however many there are."""

from __future__ import annotations

from typing import Any

from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import recommendation_pb2


def test_it_is_the_same_for_one_and_three_workers(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """Bit for bit; each choice replays alone with the metrics it is told to have."""
    told = []
    for workers in (1, 3):
        system = start_optimizer(workers=workers)
        study = system.watch(system.create("chosen", grid_spec | {"seed": "7"}).name)
        request = pb.GetStudyReportRequest(name=study.name)
        report = system.optimizer_stub.GetStudyReport(request, timeout=120).report
        told.append(report.recommendation)
    one, three = told
    assert one == three
    assert one.verdict != recommendation_pb2.Recommendation.VERDICT_UNSPECIFIED
    kinds = [choice.kind for choice in one.choices]
    assert kinds[:2] == [1, 2]
    assert sorted([*kinds, *(absent.kind for absent in one.absent_choices)]) == [1, 2, 3, 4, 5]
    for choice in one.choices:
        alone = backtest_service_pb2.RunBacktestRequest(
            snapshot=study.spec.data[0],
            strategy=study.spec.strategy,
            execution=study.spec.execution,
            parameters=choice.parameters,
        )
        answer = system.backtest_stub.RunBacktest(alone, timeout=60)
        assert answer.metrics == choice.metrics
        assert choice.evidence.neighborhood.neighbor_count > 0
    best = one.choices[0]
    assert best.evidence.probabilistic_sharpe_ratio == report.luck.probabilistic_sharpe_ratio
    assert best.evidence.deflated_sharpe_ratio == report.luck.deflated_sharpe_ratio
    near, same = best.evidence.neighborhood, report.luck.neighborhood
    assert near.neighbor_count == same.neighbor_count
    assert near.median_value == same.median_value
    assert near.worst_kept_ratio == same.worst_kept_ratio
