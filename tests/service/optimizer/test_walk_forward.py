"""Studies that walk forward, over the wire: what is pinned, refused and reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2, walk_forward_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_worker import refusal

WALK = {"in_sample": {"days": 120}, "out_of_sample": {"days": 60}}
Result = walk_forward_pb2.WindowResult


@pytest.fixture
def spec(random_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a walk forward through 2024 of 10 trials per window."""
    return random_spec | {"random": {"trial_count": 10}, "walk_forward": WALK}


async def report(optimizer: Optimizer, name: str) -> study_pb2.StudyReport:
    """Return a study's report."""
    answer = await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=name), timeout=30)
    return answer.report


async def test_the_windows_are_pinned_and_every_trial_names_its_own(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Four windows of 10 trials; defaults, bounds, lookback and digests are echoed."""
    study = await optimizer.finished(spec)
    walk, trials = study.spec.walk_forward, await optimizer.trials(study.name)

    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert (len(walk.windows), study.progress.total_trial_count) == (4, 40)
    assert [trial.window_number for trial in trials] == [number % 4 for number in range(40)]
    assert walk.step.days == 60
    assert walk.mode == walk_forward_pb2.WalkForwardSpec.MODE_ROLLING
    assert walk.criteria.min_walk_forward_efficiency == 0.5
    for number, window in enumerate(walk.windows):
        assert window.number == number
        inside, outside = window.in_sample.snapshot, window.out_of_sample.snapshot
        assert inside.window.end_time == outside.window.start_time
        assert inside.lookback_bar_count == study.spec.data[0].lookback_bar_count
        assert len(inside.content_digest) == len(outside.content_digest) == 64
    assert study.limits.trial_count == 40
    assert [int(name.rpartition("/")[2]) % 4 for name in study.best_trials] == [0, 1, 2, 3]


async def test_the_report_tells_windows_criteria_and_curve(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Winners run out of sample over their own spans, closed at the end, once."""
    study = await optimizer.finished(spec)
    runs = list(optimizer.worker.runs)
    told = await report(optimizer, study.name)
    walked = told.walk_forward

    windows = study.spec.walk_forward.windows
    assert [one.winner for one in walked.windows] == list(study.best_trials)
    assert [one.trial_count for one in walked.windows] == [10] * 4
    assert {one.outcome for one in walked.windows} == {Result.OUTCOME_NO_TRADES}
    assert len(runs) == 4
    # What was run at the end of the study is remembered; buy-and-hold is new.
    assert len(optimizer.worker.runs) == 5
    by_begin = {run.snapshot.window.start_time.seconds: run for run in runs}
    for window, found in zip(windows, walked.windows, strict=True):
        run = by_begin[window.out_of_sample.snapshot.window.start_time.seconds]
        assert run.snapshot == window.out_of_sample.snapshot
        assert run.execution.close_at_end
        assert list(run.parameters) == list(found.parameters)
    assert [one.name for one in walked.criteria][-1] == "min_total_return_ratio"
    assert {one.name for one in walked.parameter_paths} == {"fast_period", "slow_period", "average"}
    assert not told.parameters_at_edge


async def test_a_rerun_walks_over_the_same_data(optimizer: Optimizer, spec: dict[str, Any]) -> None:
    """The stored spec holds the windows; the digest is the same."""
    first = await optimizer.finished(spec)
    answer = await optimizer.stub.CreateStudy(pb.CreateStudyRequest(rerun_of=first.name))
    second = (await optimizer.watch(answer.study.name))[-1].study_finished

    assert second.spec == first.spec
    assert second.trials_digest == first.trials_digest


async def test_a_window_whose_data_fail_fails_the_study(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Out-of-sample data that changed are an error at the end, and resuming tries again."""
    optimizer.worker.close_gate()
    study = await optimizer.create(spec)
    await optimizer.worker.waiting.wait()
    optimizer.worker.probe_failure = refusal(Code.ABORTED, "DATASET_CHANGED", "data.assay")
    optimizer.worker.gate.set()
    events = await optimizer.watch(study.name)
    failed = events[-1].study_finished

    assert failed.state == study_pb2.Study.STATE_FAILED
    assert failed.error.reason == "DATASET_CHANGED"
    assert failed.progress.finished_trial_count == 40

    optimizer.worker.probe_failure = None
    await optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=study.name))
    ended = (await optimizer.watch(study.name, events[-1].number))[-1].study_finished
    assert ended.state == study_pb2.Study.STATE_SUCCEEDED
    assert ended.trials_digest == failed.trials_digest


async def test_too_few_bars_are_refused(
    optimizer: Optimizer, spec: dict[str, Any], refused: Callable[[Any], Any]
) -> None:
    """Needed and available bars are told."""
    walk = {"in_sample": {"days": 300}, "out_of_sample": {"days": 66}, "purge": {"bars": 1}}
    error = await refused(optimizer.create(spec | {"walk_forward": walk}))

    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT")
    assert error.metadata == {"needed_bar_count": "8785", "available_bar_count": "8784"}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"walk_forward": {}}, ["in_sample", "out_of_sample"]),
        ({"walk_forward": WALK | {"mode": 7, "capital": 7}}, ["mode", "capital"]),
        ({"walk_forward": WALK | {"purge": {}, "step": {}}}, ["step", "purge"]),
        ({"walk_forward": WALK | {"step": {"bars": "1"}}}, ["step"]),
        ({"pruning": {"median": {}}}, [""]),
        ({"objectives": [{"metric": "sharpe_ratio"}, {"metric": "trade_count"}]}, [""]),
        ({"random": {"trial_count": 50_000}}, [""]),
        ({"walk_forward": WALK | {"windows": [{}]}}, ["windows"]),
    ],
)
async def test_what_does_not_go_together_is_refused(
    optimizer: Optimizer,
    spec: dict[str, Any],
    change: dict[str, Any],
    fields: list[str],
    refused: Callable[[Any], Any],
) -> None:
    """By the fields of the spec."""
    error = await refused(optimizer.create(spec | change))

    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    wanted = [f"spec.walk_forward.{field}".rstrip(".") for field in fields]
    assert [one.field for one in error.violations] == wanted


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stop_rule": {"target_value": 1.0}}, "spec.stop_rule.target_value"),
        ({"execution": {"close_at_end": True}}, "spec.execution.close_at_end"),
    ],
)
async def test_what_the_walk_decides_is_refused(
    optimizer: Optimizer,
    spec: dict[str, Any],
    change: dict[str, Any],
    field: str,
    refused: Callable[[Any], Any],
) -> None:
    """A target compares windows; closing at the end is the walk's own matter."""
    error = await refused(optimizer.create(spec | change))

    assert [one.field for one in error.violations] == [field]


async def test_a_walk_has_the_trials_it_has(
    optimizer: Optimizer, spec: dict[str, Any], refused: Callable[[Any], Any]
) -> None:
    """It cannot be extended."""
    study = await optimizer.finished(spec)
    request = pb.UpdateStudyLimitsRequest(name=study.name, trial_count=80)

    error = await refused(optimizer.stub.UpdateStudyLimits(request))

    assert [one.field for one in error.violations] == ["trial_count"]


async def test_overlapping_spans_and_few_windows_are_warned_of(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """The estimate counts all windows' trials and says what to expect of the statistics."""
    walk = {"in_sample": {"days": 240}, "out_of_sample": {"days": 60}, "step": {"days": 40}}
    answer = await optimizer.estimate(spec | {"walk_forward": walk})

    assert answer.estimate.trial_count == 20
    assert "Out-of-sample spans overlap: their profits are not added up." in answer.study.warnings
    assert "2 windows are few: what they say together may be luck." in answer.study.warnings


async def test_the_series_of_every_span_have_digests_of_their_own(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Spans are probed without the whole window's digest, and run with their own."""
    execution = {"funding": {"dataset": "datasets/bybit.linear.btcusdt.funding"}}
    study = await optimizer.finished(spec | {"execution": execution})

    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    spans = [probe for probe in optimizer.worker.probes[1:] if probe.execution.HasField("funding")]
    assert len(spans) == 8
    assert {probe.execution.funding.content_digest for probe in spans} == {""}
    for window in study.spec.walk_forward.windows:
        assert window.in_sample.funding.content_digest == "cd" * 32
        assert not window.in_sample.HasField("mark")
    pinned = {run.execution.funding.content_digest for run in optimizer.worker.runs}
    assert pinned == {"cd" * 32}
