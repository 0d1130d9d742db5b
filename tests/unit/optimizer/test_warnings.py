"""What a caller is told about a study before it runs."""

from __future__ import annotations

import pytest
from assay.backtest.v1 import backtest_service_pb2

from services.optimizer.convert.warnings import warnings_of
from services.optimizer.core.spec.draft import PruningKind, PruningRule
from tests.unit.optimizer.in_memory import make_plan


@pytest.mark.parametrize(
    ("trial_count", "generation_size", "told"),
    [(200, 256, True), (256, 256, True), (257, 256, False), (24, 8, True), (25, 8, False)],
)
def test_pruning_that_never_gives_anything_up_is_told(
    trial_count: int, generation_size: int, *, told: bool
) -> None:
    """Only finished generations judge, so a study of one generation is never pruned."""
    plan = make_plan(
        trial_count=trial_count,
        generation_size=generation_size,
        pruning=PruningRule(PruningKind.MEDIAN, startup_trial_count=20, rung_bar_counts=(100,)),
    )
    found = warnings_of(plan, backtest_service_pb2.RunBacktestBatchResponse())

    assert any("pruning does nothing" in warning for warning in found) is told
