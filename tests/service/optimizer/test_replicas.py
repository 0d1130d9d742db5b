"""Two optimizers on one database: each answers for the studies of the other."""

from __future__ import annotations

from typing import Any

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1.study_pb2 import Study

from tests.service.optimizer.conftest import StartOptimizer


async def test_any_replica_tells_and_steers_a_study(
    start: StartOptimizer, random_spec: dict[str, Any]
) -> None:
    """Progress, best trials and lists are those of the stored generations; a stop is heeded."""
    first = await start(replica_name="one", lease_seconds=1.0)
    # So many that the owner hears of the stop before the last: its results go on meanwhile.
    random_spec["random"] = {"trial_count": 20_000}
    study = await first.create(random_spec, study_id="shared")
    async for answer in first.stub.WatchStudy(pb.WatchStudyRequest(name=study.name)):
        if answer.event.HasField("generation_finished"):
            first.worker.close_gate()
            break
    await first.worker.waiting.wait()
    second = await start(replica_name="two", lease_seconds=1.0)
    told = (await second.stub.GetStudy(pb.GetStudyRequest(name=study.name))).study
    listed = await second.stub.ListTrials(pb.ListTrialsRequest(parent=study.name, page_size=1000))
    best = await second.stub.ListBestTrials(pb.ListBestTrialsRequest(parent=study.name))
    stopping = (await second.stub.StopStudy(pb.StopStudyRequest(name=study.name))).study
    first.worker.gate.set()
    stopped = (await second.watch(study.name))[-1].study_finished

    assert (told.state, told.owner) == (Study.STATE_RUNNING, "one")
    assert told.progress.finished_trial_count >= 8
    assert told.progress.total_trial_count == 20_000
    assert len(listed.trials) == listed.total_count >= told.progress.finished_trial_count
    assert list(told.best_trials) == [trial.name for trial in best.trials[:1]]
    assert stopping.state == Study.STATE_STOPPING
    assert (stopped.state, stopped.owner) == (Study.STATE_STOPPED, "one")
    assert stopped.progress.finished_trial_count < 20_000
