"""A walk-forward matrix on real workers: one job, the same numbers everywhere, also of luck."""

import signal
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2, study_pb2

WALK = {
    "matrix": {"in_samples": [{"days": 60}, {"days": 90}], "steps": [{"days": 30}, {"days": 15}]},
    "purge": {"bars": 12},
}


def report_of(system: Any, name: str) -> study_pb2.StudyReport:
    """Return a study's report."""
    request = optimizer_service_pb2.GetStudyReportRequest(name=name)
    found: study_pb2.StudyReport = system.optimizer_stub.GetStudyReport(request, timeout=120).report
    return found


def test_a_matrix_is_the_same_on_any_workers_and_after_kills(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """One worker; three of which one is killed, as the optimizer is: one digest, one report."""
    spec = grid_spec | {"walk_forward": WALK, "generation_size": 16}
    one, three = start_optimizer(workers=1), start_optimizer(workers=3)
    plain = one.watch(one.create("plain", spec).name)
    assert plain.state == study_pb2.Study.STATE_SUCCEEDED, plain.error
    killed: list[int] = []

    def kill(event: study_pb2.StudyEvent) -> None:
        if event.HasField("generation_finished") and len(killed) < 2:
            victim = three.optimizer if killed else three.workers[0]
            killed.append(victim.send(signal.SIGKILL))
            victim.start()

    other = three.watch(three.create("plain", spec).name, kill)
    assert len(killed) == 2
    assert other.trials_digest == plain.trials_digest
    report, again = report_of(one, plain.name), report_of(three, other.name)
    assert report.walk_forward_matrix == again.walk_forward_matrix
    assert report.luck == again.luck

    matrix = report.walk_forward_matrix
    # 182 days with half a day of purge: floor((182 - 0.5 - in sample - step) / step) + 1.
    assert [len(cell.report.windows) for cell in matrix.cells] == [4, 8, 3, 6]
    best = matrix.cells[matrix.by_sharpe.best_cell_number].report
    luck = report.luck
    assert luck.walk_count == 4
    assert luck.daily_sharpe_ratio == pytest.approx(
        best.stitched_curve.reset.sharpe_ratio / 365**0.5
    )
    assert luck.trade_count == sum(one.out_of_sample.trade_count for one in best.windows)
    assert 0.0 <= luck.walk_deflated_sharpe_ratio < luck.probabilistic_sharpe_ratio <= 1.0
    told = luck.overfitting
    assert [one.window_number for one in told.windows] == [one.number for one in best.windows]
    assert all(0.0 <= one.probability <= 1.0 for one in told.windows)
    assert luck.verdict != study_pb2.LuckReport.VERDICT_UNSPECIFIED
