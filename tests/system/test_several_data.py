"""Studies over several data on real workers: the same trials everywhere, each replayed alone."""

import math
import signal
from typing import Any

from assay.backtest.v1 import backtest_service_pb2
from assay.data.v1 import data_service_pb2
from assay.optimizer.v1 import optimizer_service_pb2, study_pb2
from google.protobuf import json_format

SYMBOLS = ["datasets/synthetic.system.1h", "datasets/synthetic.second.1h"]
MONTHS = [
    {"start_time": "2024-01-01T00:00:00Z", "end_time": "2024-07-01T00:00:00Z"},
    {"start_time": "2024-02-01T00:00:00Z", "end_time": "2024-05-01T00:00:00Z"},
]
"""Windows of their own: what is alike is the interval."""


def make_second(system: Any) -> None:
    """Make candles of another symbol."""
    request = json_format.ParseDict(
        {"name": SYMBOLS[1], "window": MONTHS[0], "synthetic": {"seed": "12"}},
        data_service_pb2.SyncDatasetRequest(),
    )
    list(system.data_stub.SyncDataset(request, timeout=60))


def test_trials_are_the_same_on_any_workers_and_after_kills(
    start_optimizer: Any, bayesian_spec: dict[str, Any]
) -> None:
    """One worker; three of which one is killed, as the optimizer is: one digest, one list."""
    spec = bayesian_spec | {
        "data": [
            {"dataset": name, "window": window}
            for name, window in zip(SYMBOLS, MONTHS, strict=True)
        ],
        "data_aggregation": {"rule": "RULE_MEAN"},
        "bayesian": {"trial_count": 60},
    }
    one = start_optimizer(workers=1)
    make_second(one)
    plain = one.watch(one.create("plain", spec).name)
    assert plain.state == study_pb2.Study.STATE_SUCCEEDED, plain.error

    three = start_optimizer(workers=3)
    make_second(three)
    killed: list[int] = []

    def kill(event: study_pb2.StudyEvent) -> None:
        if event.HasField("generation_finished") and len(killed) < 2:
            victim = three.optimizer if killed else three.workers[0]
            killed.append(victim.send(signal.SIGKILL))
            victim.start()

    other = three.watch(three.create("killed", spec).name, kill)
    assert len(killed) == 2
    assert other.trials_digest == plain.trials_digest
    trials = one.trials(plain.name)
    for mine, theirs in zip(trials, three.trials(other.name), strict=True):
        assert mine.dataset_results == theirs.dataset_results
        assert mine.objective_values == theirs.objective_values
    assert_replays(one, plain, trials[-10:])
    assert_report(one, plain)


def assert_replays(system: Any, study: study_pb2.Study, trials: list[study_pb2.Trial]) -> None:
    """Run each trial alone over each of the data, and aggregate by hand."""
    for trial in trials:
        sharpes = []
        for snapshot, result in zip(study.spec.data, trial.dataset_results, strict=True):
            request = backtest_service_pb2.RunBacktestRequest(
                snapshot=snapshot,
                strategy=study.spec.strategy,
                execution=study.spec.execution,
                parameters=trial.parameters,
            )
            answer = system.backtest_stub.RunBacktest(request, timeout=60)
            assert answer.metrics == result.metrics
            sharpes.append(answer.metrics.sharpe_ratio)
        if trial.state == study_pb2.Trial.STATE_COMPLETE:
            assert list(trial.objective_values) == [math.fsum(sharpes) / 2]
            counts = [one.metrics.trade_count for one in trial.dataset_results]
            assert trial.feasible == (min(counts) >= 5)
            assert trial.metrics.trade_count == round(sum(counts) / 2)


def assert_report(system: Any, study: study_pb2.Study) -> None:
    """Buy-and-hold is told over each window of its own."""
    request = optimizer_service_pb2.GetStudyReportRequest(name=study.name)
    report = system.optimizer_stub.GetStudyReport(request, timeout=60).report
    first, second = report.dataset_buy_and_hold
    assert first.total_return_ratio != second.total_return_ratio
    assert [one.trial_count for one in report.dataset_ledger] == [60, 60]
