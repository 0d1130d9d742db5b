"""What a walk forward is expected to take."""

from __future__ import annotations

from assay.backtest.v1 import backtest_service_pb2

from services.common.frames_codec import timestamp_from_ms
from services.common.intervals import DAY_MS
from services.optimizer.convert.probing import estimate_message
from services.optimizer.core.walk_forward.rule import BarSpan, Span, WalkForward, Window
from tests.unit.optimizer.in_memory import make_plan


def test_trials_cost_by_the_bars_they_run_over() -> None:
    """Three windows whose in-sample spans are a quarter of the study's bars on average."""
    ends = (10, 25, 40)
    windows = tuple(
        Window(Span(0, end * DAY_MS), Span(end * DAY_MS, (end + 5) * DAY_MS)) for end in ends
    )
    plan = make_plan(trial_count=20).over(WalkForward(BarSpan(10), BarSpan(5), windows=windows))
    response = backtest_service_pb2.RunBacktestBatchResponse()
    response.snapshot.window.start_time.CopyFrom(timestamp_from_ms(0))
    response.snapshot.window.end_time.CopyFrom(timestamp_from_ms(100 * DAY_MS))

    estimate = estimate_message(plan, [response], set_count=2, seconds=8.0)

    assert estimate.trial_count == 60
    assert estimate.predicted_duration.ToSeconds() == 60
