"""The life of studies over the wire, from the first event to deletion, over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer, StartOptimizer
from tests.service.optimizer.scripted_worker import metrics_of, refusal

Refused = Callable[[Any], Any]
Study = study_pb2.Study


async def stopped_midway(optimizer: Optimizer, spec: dict[str, Any]) -> study_pb2.Study:
    """Create a study, stop it in its first generation and return it stopped."""
    optimizer.worker.close_gate()
    study = await optimizer.create(spec, study_id="midway")
    await optimizer.worker.waiting.wait()
    answer = await optimizer.stub.StopStudy(pb.StopStudyRequest(name=study.name))
    assert answer.study.state == Study.STATE_STOPPING
    optimizer.worker.gate.set()
    return (await optimizer.watch(study.name))[-1].study_finished


async def test_events_tell_the_whole_story(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Numbered without holes: running, every generation, the finished study."""
    study = await optimizer.create(random_spec)
    events = await optimizer.watch(study.name)
    generations = [event.generation_finished for event in events[1:-1]]
    finished = events[-1].study_finished
    trials = await optimizer.trials(study.name)

    assert [event.number for event in events] == list(range(1, 8))
    assert events[0].state_changed.state == Study.STATE_RUNNING
    assert [one.generation_number for one in generations] == [0, 1, 2, 3, 4]
    assert [one.progress.finished_trial_count for one in generations] == [8, 16, 24, 32, 40]
    for one in generations:
        seen = [trial for trial in trials[: one.progress.finished_trial_count] if trial.feasible]
        best = max(seen, key=lambda trial: (trial.objective_values[0], -trial.number))
        assert one.best_trial == best
        assert one.improved == (best.generation_number == one.generation_number)
        assert one.best_trial_count == 1
    assert finished.state == Study.STATE_SUCCEEDED
    assert finished == (await optimizer.stub.GetStudy(pb.GetStudyRequest(name=study.name))).study


async def test_a_watch_goes_on_where_it_was_left(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """After any number; after the last one it ends at once."""
    study = await optimizer.finished(random_spec)
    everything = await optimizer.watch(study.name)

    for after in (1, 4, 6):
        assert await optimizer.watch(study.name, after) == everything[after:]
    assert await optimizer.watch(study.name, 7) == []


async def test_trials_hold_what_the_worker_said(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Typed parameters in the order of the spec, every metric or its reason."""
    study = await optimizer.finished(random_spec)
    trials = await optimizer.trials(study.name)

    assert [trial.number for trial in trials] == list(range(40))
    for trial in trials:
        kinds = [one.value.WhichOneof("kind") for one in trial.parameters]
        assert [one.name for one in trial.parameters] == ["fast_period", "slow_period", "average"]
        assert kinds == ["int_value", "int_value", "category_value"]
        values = {
            one.name: getattr(one.value, str(one.value.WhichOneof("kind")))
            for one in trial.parameters
        }
        earned = metrics_of(values)
        assert earned is not None
        assert trial.metrics.sharpe_ratio == trial.objective_values[0] == earned["sharpe_ratio"]
        assert trial.metrics.trade_count == earned["trade_count"]
        assert not trial.metrics.HasField("cagr_ratio")
        assert "cagr_ratio" in {one.metric for one in trial.metrics.undefined}
        assert trial.feasible == (earned["trade_count"] >= 12)
        assert trial.name == f"{study.name}/trials/{trial.number}"
        assert trial.end_time.ToMilliseconds() >= trial.start_time.ToMilliseconds() > 0
    infeasible = sum(not trial.feasible for trial in trials)
    assert study.progress.infeasible_trial_count == infeasible > 0


async def test_an_undefined_objective_is_a_failed_trial(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Fast = slow has no sharpe_ratio here: the trial failed, the study did not."""
    study = await optimizer.finished(grid_spec | {"constraints": []})
    trials = await optimizer.trials(study.name)
    failed = [trial for trial in trials if trial.state == study_pb2.Trial.STATE_FAILED]

    assert len(trials) == 100
    assert study.progress.failed_trial_count == len(failed) == 2
    assert {trial.failure_reason for trial in failed} == {"OBJECTIVE_UNDEFINED"}
    assert not any(trial.feasible or trial.objective_values for trial in failed)


async def test_a_stopped_study_resumes_to_the_digest_it_would_have_had(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """The generation in hand is kept; stopping twice is harmless."""
    whole = await optimizer.finished(random_spec)
    stopped = await stopped_midway(optimizer, random_spec)
    again = await optimizer.stub.StopStudy(pb.StopStudyRequest(name=stopped.name))
    resumed = await optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=stopped.name))
    finished = (await optimizer.watch(stopped.name, after=4))[-1].study_finished

    assert stopped.state == again.study.state == Study.STATE_STOPPED
    assert stopped.progress.finished_trial_count == 8
    assert stopped.trials_digest not in {"", whole.trials_digest}
    assert stopped.HasField("end_time")
    assert resumed.study.state == Study.STATE_PENDING
    assert not resumed.study.HasField("end_time")
    assert finished.trials_digest == whole.trials_digest
    assert finished.best_trials == [
        name.replace(whole.name, stopped.name) for name in whole.best_trials
    ]


@pytest.mark.parametrize("search", ["random", "bayesian", "grid"])
async def test_a_new_process_takes_up_a_running_study(
    search: str, start: StartOptimizer, random_spec: dict[str, Any], grid_spec: dict[str, Any]
) -> None:
    """The one before left in the middle of a generation; the digest is that of an unbroken run."""
    spec = grid_spec | {"generation_size": 16}
    if search != "grid":
        spec = {key: value for key, value in random_spec.items() if key != "random"}
        spec[search] = {"trial_count": 40}
    first = await start()
    whole = await first.finished(spec)
    first.worker.waiting.clear()
    study = await first.create(spec, study_id="broken")
    async for answer in first.stub.WatchStudy(pb.WatchStudyRequest(name=study.name)):
        if answer.event.HasField("generation_finished"):
            first.worker.gate.clear()
            break
    # What the first process has in hand never comes back; the second shares its database only.
    await first.leave()
    second = await start()
    finished = (await second.watch(study.name))[-1].study_finished

    assert finished.state == Study.STATE_SUCCEEDED
    assert finished.trials_digest == whole.trials_digest
    assert sum(second.worker.batches) < whole.progress.total_trial_count


async def test_changed_data_fail_the_study_and_a_resume_goes_on(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """With the reason, whose it is and its particulars; the trials before it are kept."""
    optimizer.worker.gate.clear()
    study = await optimizer.create(random_spec)
    optimizer.worker.failures = [
        refusal(Code.ABORTED, "DATASET_CHANGED", "data.assay", wanted_digest="a", actual_digest="b")
    ] * 8
    optimizer.worker.gate.set()
    failed = (await optimizer.watch(study.name))[-1].study_finished
    stop = await refused(optimizer.stub.StopStudy(pb.StopStudyRequest(name=study.name)))
    optimizer.worker.failures = []
    await optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=study.name))
    finished = (await optimizer.watch(study.name, after=2))[-1].study_finished

    assert failed.state == Study.STATE_FAILED
    assert (failed.error.reason, failed.error.domain) == ("DATASET_CHANGED", "optimizer.assay")
    assert dict(failed.error.metadata) == {"wanted_digest": "a", "actual_digest": "b"}
    assert (stop.reason, stop.metadata["state"]) == ("STUDY_STATE_WRONG", "FAILED")
    assert finished.state == Study.STATE_SUCCEEDED
    assert not finished.HasField("error")
    assert finished.progress.finished_trial_count == 40


async def test_what_does_not_fit_the_state_is_refused(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Deleting a running study; stopping or resuming a finished one."""
    optimizer.worker.close_gate()
    study = await optimizer.create(random_spec, study_id="one")
    await optimizer.worker.waiting.wait()
    name = study.name
    early = await refused(optimizer.stub.DeleteStudy(pb.DeleteStudyRequest(name=name)))
    left_alone = await optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=name))
    optimizer.worker.gate.set()
    await optimizer.watch(name)
    stop = await refused(optimizer.stub.StopStudy(pb.StopStudyRequest(name=name)))
    resume = await refused(optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=name)))

    assert left_alone.study.state == Study.STATE_RUNNING
    assert early.metadata == {"study": "one", "state": "RUNNING"}
    assert {one.code for one in (early, stop, resume)} == {Code.FAILED_PRECONDITION}
    assert {one.reason for one in (early, stop, resume)} == {"STUDY_STATE_WRONG"}


async def test_a_deleted_study_is_gone_with_everything(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Every RPC says so with the nearest name; the id is free again."""
    await optimizer.finished(random_spec, study_id="alphb")
    study = await optimizer.finished(random_spec, study_id="alpha")
    await optimizer.stub.DeleteStudy(pb.DeleteStudyRequest(name=study.name))
    stub, name = optimizer.stub, study.name
    errors = [
        await refused(stub.GetStudy(pb.GetStudyRequest(name=name))),
        await refused(stub.DeleteStudy(pb.DeleteStudyRequest(name=name))),
        await refused(stub.StopStudy(pb.StopStudyRequest(name=name))),
        await refused(stub.ResumeStudy(pb.ResumeStudyRequest(name=name))),
        await refused(stub.ListTrials(pb.ListTrialsRequest(parent=name))),
        await refused(stub.ListBestTrials(pb.ListBestTrialsRequest(parent=name))),
        await refused(stub.GetStudyReport(pb.GetStudyReportRequest(name=name))),
        await refused(optimizer.watch(name)),
    ]
    again = await optimizer.finished(random_spec, study_id="alpha")

    assert {one.reason for one in errors} == {"STUDY_UNKNOWN"}
    assert {one.code for one in errors} == {Code.NOT_FOUND}
    assert errors[0].metadata == {"study": "alpha", "nearest": "alphb"}
    assert again.trials_digest == study.trials_digest


async def test_malformed_names_are_refused_by_every_method(
    optimizer: Optimizer, refused: Refused
) -> None:
    """With the form they should have."""
    stub = optimizer.stub
    for name in ("", "studies/", "alpha", "studies/Alpha", "studies/a/b", "trials/a"):
        errors = [
            await refused(stub.GetStudy(pb.GetStudyRequest(name=name))),
            await refused(stub.DeleteStudy(pb.DeleteStudyRequest(name=name))),
            await refused(stub.StopStudy(pb.StopStudyRequest(name=name))),
            await refused(stub.ResumeStudy(pb.ResumeStudyRequest(name=name))),
            await refused(stub.ListTrials(pb.ListTrialsRequest(parent=name))),
            await refused(stub.ListBestTrials(pb.ListBestTrialsRequest(parent=name))),
            await refused(stub.GetStudyReport(pb.GetStudyReportRequest(name=name))),
            await refused(optimizer.watch(name)),
        ]
        assert {one.reason for one in errors} == {"FIELD_INVALID"}, name
        assert {one.field for error in errors for one in error.violations} == {"name", "parent"}


async def test_a_negative_event_number_is_refused(optimizer: Optimizer, refused: Refused) -> None:
    """It is no place in any log."""
    error = await refused(optimizer.watch("studies/a", after=-1))

    assert [one.field for one in error.violations] == ["after_event_number"]


async def test_many_studies_and_watchers_at_once(
    optimizer: Optimizer, random_spec: dict[str, Any], grid_spec: dict[str, Any]
) -> None:
    """Each has its own trials, and equal specs have equal digests."""
    specs = [random_spec, grid_spec] * 3
    studies = await asyncio.gather(*(optimizer.create(spec) for spec in specs))
    stories = await asyncio.gather(
        *(optimizer.watch(study.name) for study in studies for _ in range(2))
    )
    ends = [story[-1].study_finished for story in stories]

    assert len({end.name for end in ends}) == 6
    assert len({end.trials_digest for end in ends}) == 2
