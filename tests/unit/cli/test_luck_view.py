"""How luck is told to people."""

from __future__ import annotations

import pytest
from assay.optimizer.v1.study_pb2 import BacktestOverfitting, LuckReport, LuckWarning, Neighborhood

from cli import luck_view


def test_the_verdict_its_reasons_and_the_numbers_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Undefined numbers are called so."""
    luck_view.show(
        LuckReport(
            verdict=LuckReport.VERDICT_INCONCLUSIVE,
            warnings=[LuckWarning(kind=LuckWarning.KIND_FEW_TRADES, message="12 trades are few.")],
            day_count=365,
            daily_sharpe_ratio=0.1234,
            probabilistic_sharpe_ratio=0.987,
            trial_count=1_250,
            effective_trial_count=40.25,
            deflated_sharpe_ratio=0.5,
            overfitting=BacktestOverfitting(trial_count=900, probability=0.25),
            neighborhood=Neighborhood(
                neighbor_count=8,
                defined_neighbor_count=7,
                best_value=2.0,
                worst_value=-0.5,
                median_value=1.5,
                mean_value=1.25,
                median_kept_ratio=0.75,
            ),
        ),
        "sharpe_ratio",
    )
    told = capsys.readouterr().out
    assert "INCONCLUSIVE" in told
    assert "- 12 trades are few." in told
    for text in ("0.1234", "0.987", "0.500", "0.250", "undefined", "40.2"):
        assert text in told
    assert "median 1.500 (75% kept), mean 1.250, worst -0.500" in " ".join(told.split())


def test_neighbours_without_an_objective_are_told_as_such() -> None:
    """There is nothing to summarise."""
    near = Neighborhood(neighbor_count=3)
    assert luck_view.around(near, "sqn") == "neighbours: none of 3 has a sqn"
