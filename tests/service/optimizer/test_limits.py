"""When studies end, and what follows when that is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer

Refused = Callable[[Any], Any]


def learning(spec: dict[str, Any], count: int, **changes: Any) -> dict[str, Any]:
    """Return a study that learns, of so many trials."""
    plain = {key: value for key, value in spec.items() if key != "random"}
    return plain | {"bayesian": {"trial_count": count}, "generation_size": 8} | changes


async def limited(optimizer: Optimizer, name: str, **limits: Any) -> study_pb2.Study:
    """Change a study's limits."""
    answer = await optimizer.stub.UpdateStudyLimits(
        pb.UpdateStudyLimitsRequest(name=name, **limits)
    )
    return answer.study


async def resumed(optimizer: Optimizer, study: study_pb2.Study) -> study_pb2.Study:
    """Resume a study and wait for its end."""
    seen = (await optimizer.watch(study.name))[-1].number
    await optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=study.name))
    return (await optimizer.watch(study.name, seen))[-1].study_finished


@pytest.mark.parametrize("cut", [13, 16])
async def test_an_extended_study_is_as_if_it_had_been_longer_from_the_start(
    optimizer: Optimizer, random_spec: dict[str, Any], cut: int
) -> None:
    """Also where its last generation was cut short; and so is its rerun."""
    whole = await optimizer.finished(learning(random_spec, 30), study_id="whole")
    short = await optimizer.finished(learning(random_spec, cut), study_id="short")
    told = await limited(optimizer, short.name, trial_count=30)
    long = await resumed(optimizer, short)
    answer = await optimizer.stub.CreateStudy(pb.CreateStudyRequest(rerun_of=short.name))
    again = (await optimizer.watch(answer.study.name))[-1].study_finished

    assert short.progress.finished_trial_count == cut
    assert (told.state, told.limits.trial_count) == (study_pb2.Study.STATE_SUCCEEDED, 30)
    assert told.progress.total_trial_count == 30
    assert long.trials_digest == whole.trials_digest == again.trials_digest
    assert long.spec == short.spec
    assert len(await optimizer.trials(short.name)) == 30


async def test_a_study_with_nothing_left_to_do_is_not_resumed(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Raising its limits leaves it something."""
    study = await optimizer.finished(random_spec)
    error = await refused(optimizer.stub.ResumeStudy(pb.ResumeStudyRequest(name=study.name)))

    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "STUDY_STATE_WRONG")


async def test_a_good_enough_objective_ends_a_study(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """After the generation that has it; without the target it goes on to its last trial."""
    whole = await optimizer.finished(random_spec, study_id="whole")
    study = await optimizer.finished(random_spec | {"stop_rule": {"target_value": -5}})
    finished = study.progress.finished_trial_count
    told = await limited(optimizer, study.name, stop_rule=study_pb2.StopRule())
    long = await resumed(optimizer, study)

    assert (study.stop_reason, study.limits.stop_rule.target_value) == ("TARGET", -5)
    assert finished < 40
    assert finished % 8 == 0
    assert not told.limits.HasField("stop_rule")
    assert (long.stop_reason, long.trials_digest) == ("TRIAL_COUNT", whole.trials_digest)


async def test_too_many_trials_without_a_new_best_end_a_study(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Counted from the best one."""
    study = await optimizer.finished(random_spec | {"stop_rule": {"patience_trial_count": "3"}})
    best = int(study.best_trials[0].rpartition("/")[2])

    assert study.stop_reason == "PATIENCE"
    assert study.progress.finished_trial_count - 1 - best >= 3


async def test_a_running_study_minds_its_limits_from_the_next_generation_on(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """What is in hand is kept."""
    optimizer.worker.close_gate()
    study = await optimizer.create(random_spec)
    await optimizer.worker.waiting.wait()
    told = await limited(optimizer, study.name, trial_count=8)
    optimizer.worker.gate.set()
    ended = (await optimizer.watch(study.name))[-1].study_finished

    assert told.limits.trial_count == 8
    assert 8 <= ended.progress.finished_trial_count < 40
    assert ended.stop_reason == "TRIAL_COUNT"


async def test_limits_that_cannot_be_are_refused_together(
    optimizer: Optimizer, random_spec: dict[str, Any], grid_spec: dict[str, Any], refused: Refused
) -> None:
    """Fewer trials than there are, more than the service takes, other numbers for a grid."""
    study = await optimizer.finished(random_spec)
    grid = await optimizer.finished(grid_spec)
    update = optimizer.stub.UpdateStudyLimits
    rule = study_pb2.StopRule(patience_trial_count=0)
    error = await refused(
        update(pb.UpdateStudyLimitsRequest(name=study.name, trial_count=39, stop_rule=rule))
    )
    fixed = await refused(update(pb.UpdateStudyLimitsRequest(name=grid.name, trial_count=90)))
    unknown = await refused(update(pb.UpdateStudyLimitsRequest(name="studies/nobody")))
    unnamed = await refused(update(pb.UpdateStudyLimitsRequest(name="nobody")))

    assert {one.field for one in error.violations} == {
        "trial_count",
        "stop_rule.patience_trial_count",
    }
    assert [one.field for one in fixed.violations] == ["trial_count"]
    assert unknown.reason == "STUDY_UNKNOWN"
    assert [one.field for one in unnamed.violations] == ["name"]
