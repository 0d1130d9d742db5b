"""Walking forward on real workers: the same numbers everywhere, chosen by in-sample bars alone."""

import signal
from typing import Any

from assay.backtest.v1 import backtest_service_pb2
from assay.data.v1 import data_service_pb2, dataset_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import optimizer_service_pb2, study_pb2, walk_forward_pb2
from google.protobuf import json_format

DAY_BARS = 24
WALK = {"in_sample": {"days": 60}, "out_of_sample": {"days": 30}, "purge": {"bars": 12}}
Outcome = walk_forward_pb2.WindowResult.Outcome


def report_of(system: Any, name: str) -> walk_forward_pb2.WalkForwardReport:
    """Return what a study's walk forward found."""
    request = optimizer_service_pb2.GetStudyReportRequest(name=name)
    answer = system.optimizer_stub.GetStudyReport(request, timeout=120)
    found: walk_forward_pb2.WalkForwardReport = answer.report.walk_forward
    return found


def without_names(report: walk_forward_pb2.WalkForwardReport) -> bytes:
    """Return a report's bytes but for the study's name."""
    for one in report.windows:
        one.winner = one.winner.rpartition("/")[2]
    return report.SerializeToString(deterministic=True)


def test_numbers_are_the_same_on_any_workers_and_after_kills(
    start_optimizer: Any, bayesian_spec: dict[str, Any]
) -> None:
    """One worker; three of which one is killed, as the optimizer is: one digest, one report."""
    spec = bayesian_spec | {"bayesian": {"trial_count": 24}, "walk_forward": WALK}
    one = start_optimizer(workers=1)
    plain = one.watch(one.create("plain", spec).name)
    assert plain.state == study_pb2.Study.STATE_SUCCEEDED, plain.error
    # 182 days: floor((182 x 24 - 60 x 24 - 12 - 30 x 24) / (30 x 24)) + 1.
    assert plain.progress.finished_trial_count == 4 * 24

    three = start_optimizer(workers=3)
    killed: list[int] = []

    def kill(event: study_pb2.StudyEvent) -> None:
        if event.HasField("generation_finished") and len(killed) < 2:
            victim = three.optimizer if killed else three.workers[0]
            killed.append(victim.send(signal.SIGKILL))
            victim.start()

    other = three.watch(three.create("killed", spec).name, kill)
    assert len(killed) == 2
    assert other.trials_digest == plain.trials_digest
    report = report_of(one, plain.name)
    assert without_names(report) == without_names(report_of(three, other.name))
    assert_replays(one, plain, report)


def assert_replays(
    system: Any, study: study_pb2.Study, report: walk_forward_pb2.WalkForwardReport
) -> None:
    """Run each window's winner alone over both of its spans and compare all metrics."""
    for found, window in zip(report.windows, study.spec.walk_forward.windows, strict=True):
        assert found.outcome == Outcome.OUTCOME_TRADED
        for span, metrics, closes in (
            (window.in_sample, found.in_sample, False),
            (window.out_of_sample, found.out_of_sample, True),
        ):
            request = backtest_service_pb2.RunBacktestRequest(
                snapshot=span.snapshot,
                strategy=study.spec.strategy,
                execution=study.spec.execution,
                parameters=found.parameters,
            )
            request.execution.close_at_end = closes
            answer = system.backtest_stub.RunBacktest(request, timeout=60)
            assert answer.metrics == metrics
    profits = sum(one.out_of_sample.net_profit_quote for one in report.windows)
    curve = report.stitched_curve
    assert abs(report.total_oos_profit - profits) < 1e-6
    assert abs(curve.reset.total_return_ratio - profits / 10_000) < 1e-9


def test_out_of_sample_bars_change_no_chosen_parameter(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """Two markets that part behind the in-sample bars: the same trials, other results."""
    system = start_optimizer(workers=1)
    walk = {"in_sample": {"bars": 60 * DAY_BARS}, "out_of_sample": {"bars": 40 * DAY_BARS}}
    found = []
    for name, factor in (("risen", 1.001), ("fallen", 0.999)):
        dataset = made_market(system, f"file.{name}.1h", factor)
        spec = grid_spec | {"data": [{"dataset": dataset}], "walk_forward": walk}
        study = system.watch(system.create(name, spec).name)
        assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
        found.append((study, report_of(system, study.name)))

    (one, first), (other, second) = found
    assert one.trials_digest == other.trials_digest
    assert len(first.windows) == 1
    assert first.windows[0].parameters == second.windows[0].parameters
    assert first.windows[0].out_of_sample != second.windows[0].out_of_sample


def made_market(system: Any, name: str, factor: float) -> str:
    """Store 100 days of the system's market whose last 40 days drift by a factor per bar."""
    asked = data_service_pb2.ReadCandlesRequest(
        snapshot=candles_pb2.CandleSnapshot(dataset="datasets/synthetic.system.1h")
    )
    answers = list(system.data_stub.ReadCandles(asked, timeout=60))
    candles = json_format.MessageToDict(answers[0].candles, preserving_proto_field_name=True)
    for answer in answers[1:]:
        for key, more in json_format.MessageToDict(
            answer.candles, preserving_proto_field_name=True
        ).items():
            candles.setdefault(key, []).extend(more)
    columns = {key: values[: 100 * DAY_BARS] for key, values in candles.items()}
    for key in ("open", "high", "low", "close"):
        for place in range(60 * DAY_BARS, 100 * DAY_BARS):
            columns[key][place] *= factor ** (place - 60 * DAY_BARS)
    pieces = [
        data_service_pb2.ImportCandlesRequest(
            header=dataset_pb2.ImportHeader(
                name=f"datasets/{name}", format=dataset_pb2.ImportHeader.FORMAT_COLUMNS
            )
        ),
        json_format.ParseDict({"candles": columns}, data_service_pb2.ImportCandlesRequest()),
    ]
    stored: str = system.data_stub.ImportCandles(iter(pieces), timeout=60).dataset.name
    return stored


def test_windows_that_cannot_trade_are_told(
    start_optimizer: Any, grid_spec: dict[str, Any]
) -> None:
    """All-infeasible windows and windows without trades are outcomes, not failures."""
    system = start_optimizer(workers=1)
    walk = {"in_sample": {"days": 60}, "out_of_sample": {"days": 30}, "step": {"days": 60}}
    infeasible = grid_spec | {"constraints": ["trade_count >= 1000"], "walk_forward": walk}
    study = system.watch(system.create("infeasible", infeasible).name)
    report = report_of(system, study.name)

    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert list(study.best_trials) == []
    assert {one.outcome for one in report.windows} == {Outcome.OUTCOME_NO_FEASIBLE_TRIAL}
    assert (report.positive_window_rate, report.total_oos_profit) == (0, 0)
    assert not report.HasField("stitched_curve")
    assert not report.passed

    idle = grid_spec | {
        "constraints": [],
        "parameters": [
            {"name": "fast_period", "fixed_value": {"int_value": "400"}},
            {"name": "slow_period", "int_range": {"low": 600, "high": 601}},
        ],
        "objectives": [{"metric": "total_return_ratio"}],
        "walk_forward": {"in_sample": {"days": 60}, "out_of_sample": {"bars": 2}},
    }
    idle["walk_forward"]["step"] = {"days": 60}
    report = report_of(system, system.watch(system.create("idle", idle).name).name)
    assert Outcome.OUTCOME_NO_TRADES in {one.outcome for one in report.windows}
