"""What a replica says about itself when it is asked."""

from __future__ import annotations

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from services.common import VERSION
from services.common.frames_codec import timestamp_from_ms
from services.optimizer.adapters.workers.worker_pool import WorkerPool
from services.optimizer.core.study.ownership import Ownership, Replica


class ReplicaStanding:
    """Reads the parts of a replica; all but the studies of the store."""

    def __init__(
        self, replica: Replica, ownership: Ownership, pool: WorkerPool, start_time_ms: int
    ) -> None:
        self._replica = replica
        self._ownership = ownership
        self._pool = pool
        self._start_time_ms = start_time_ms

    def __call__(self) -> pb.GetReplicaStatusResponse:
        """Return what the replica is doing now."""
        lives, loads = self._ownership.lives, self._pool.loads
        lease = Duration()
        lease.FromMilliseconds(self._replica.lease_ms)
        return pb.GetReplicaStatusResponse(
            replica=self._replica.name,
            version=VERSION,
            start_time=timestamp_from_ms(self._start_time_ms),
            owned_studies=[f"studies/{study_id}" for study_id in sorted(lives)],
            study_limit=self._replica.study_limit,
            lease_duration=lease,
            lost_lease_count=self._ownership.tally.lost,
            waiting_set_count=sum(load.waiting_set_count for load in loads),
            in_flight_set_count=sum(load.flying_set_count for load in loads),
            unsaved_trial_count=sum(life.unsaved_trial_count for life in lives.values()),
        )
