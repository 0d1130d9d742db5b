"""What a replica says of itself and of the studies in its store."""

from __future__ import annotations

from typing import Any

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common import VERSION
from tests.service.optimizer.conftest import StartOptimizer

Study = study_pb2.Study


async def test_a_replica_tells_what_it_owns_and_what_waits(
    start: StartOptimizer, random_spec: dict[str, Any]
) -> None:
    """A running study is owned here, its sets are with workers, and the store's are counted."""
    optimizer = await start(replica_name="one", study_limit=3, lease_seconds=7.5)
    await optimizer.finished(random_spec, study_id="before")
    optimizer.worker.close_gate()
    running = await optimizer.create(random_spec, study_id="now")
    await optimizer.worker.waiting.wait()

    told = await optimizer.stub.GetReplicaStatus(pb.GetReplicaStatusRequest())

    optimizer.worker.gate.set()
    await optimizer.watch(running.name)
    after = await optimizer.stub.GetReplicaStatus(pb.GetReplicaStatusRequest())
    assert (told.replica, told.version, told.study_limit) == ("one", VERSION, 3)
    assert told.lease_duration.ToMilliseconds() == 7_500
    assert told.start_time.seconds > 0
    assert list(told.owned_studies) == ["studies/now"]
    assert told.waiting_set_count + told.in_flight_set_count == 8
    assert told.in_flight_set_count > 0
    assert [(one.state, one.study_count) for one in told.studies] == [
        (Study.STATE_RUNNING, 1),
        (Study.STATE_SUCCEEDED, 1),
    ]
    assert (after.waiting_set_count, after.in_flight_set_count) == (0, 0)
    assert after.lost_lease_count == after.unsaved_trial_count == 0
    assert [(one.state, one.study_count) for one in after.studies] == [(Study.STATE_SUCCEEDED, 2)]


async def test_an_empty_store_has_no_states(start: StartOptimizer) -> None:
    """States without a study are left out."""
    optimizer = await start()

    told = await optimizer.stub.GetReplicaStatus(pb.GetReplicaStatusRequest())

    assert not told.studies
    assert not told.owned_studies
