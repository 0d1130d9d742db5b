"""How stress is told to people."""

from __future__ import annotations

import pytest
from assay.backtest.v1 import metrics_pb2, stress_pb2
from assay.optimizer.v1.stress_pb2 import (
    BarPermutation,
    NoiseResult,
    StressedRun,
    StressReport,
    StressWarning,
)

from cli import stress_view

_WARNING = StressWarning(
    kind=StressWarning.KIND_COST_FRAGILE, message="With 2 times the costs 40% is kept."
)


def some(median: float) -> stress_pb2.StressDistribution:
    """Return a distribution around a median."""
    return stress_pb2.StressDistribution(
        defined_count=100,
        minimum=median - 0.5,
        quantile_05=median - 0.25,
        median=median,
        positive_ratio=0.75,
    )


def test_runs_and_chances_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """What speaks against the trial first; what is undefined is called so."""
    earned = metrics_pb2.Metrics(total_return_ratio=0.125)
    stress_view.show(
        StressReport(
            warnings=[_WARNING],
            objective_value=2.0,
            total_return_ratio=0.5,
            costs=[
                StressedRun(
                    cost_factor=2.0, metrics=earned, objective_value=0.8, objective_kept_ratio=0.4
                ),
                StressedRun(
                    cost_factor=3.0,
                    undefined_reason=stress_pb2.STRESS_UNDEFINED_REASON_COST_BEYOND_LIMIT,
                ),
            ],
            delay=StressedRun(delay_bars=1, metrics=earned),
            noise=NoiseResult(
                variant_count=100,
                noise_ratio=0.001,
                total_return_ratio=some(0.4),
                objective=some(1.5),
                median_kept_ratio=0.75,
            ),
            drops=stress_pb2.TradeDropStress(
                variant_count=1_000, drop_probability=0.1, total_return_ratio=some(0.3)
            ),
            entry_permutation=stress_pb2.EntryPermutation(
                undefined_reason=stress_pb2.STRESS_UNDEFINED_REASON_NO_TRADES
            ),
            bar_permutation=BarPermutation(
                variant_count=20, p_value=0.0476, trial_count=90, objective=some(1.0)
            ),
        ),
        "sharpe_ratio",
    )
    told = " ".join(capsys.readouterr().out.split())
    for text in (
        "- With 2 times the costs 40% is kept.",
        "costs x 2",
        "undefined (cost beyond limit)",
        "1 bar late",
        "noise of 0.10%, median",
        "75%",
        "10% of the trades left out: 95 % of 1,000 choices earn 5.0% or more",
        "random entries: undefined (no trades)",
        "p = 0.048 over 20 searches of 90 trials",
    ):
        assert text in told
