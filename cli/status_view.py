"""The processes of the system as a table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from assay.backtest.v1.backtest_service_pb2 import GetWorkerStatusResponse
from assay.data.v1.data_service_pb2 import GetServiceStatusResponse
from assay.optimizer.v1.optimizer_service_pb2 import GetReplicaStatusResponse
from assay.optimizer.v1.study_pb2 import Study
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cli.figures import enum_word, seconds
from cli.output import grid

if TYPE_CHECKING:
    from rich.table import Table


class Process(Protocol):
    """One process as it was found."""

    @property
    def service(self) -> str:
        """The service it is of."""

    @property
    def address(self) -> str:
        """Where it was asked."""

    @property
    def health(self) -> str:
        """How it is."""

    @property
    def problem(self) -> str:
        """What went wrong."""

    @property
    def status(self) -> Message | None:
        """What it said."""


def processes(found: Iterable[Process]) -> Table:
    """Return one row per process."""
    table = grid(("service", "address", "health", "version", "up for", "doing"))
    for one in found:
        told: Any = one.status
        table.add_row(
            one.service,
            one.address,
            one.health,
            _version(told) or "-",
            _up_for(told.start_time) if told is not None else "-",
            _doing(told) or one.problem,
        )
    return table


def studies_by_state(found: Sequence[Process]) -> str:
    """Return a line on all studies, from the first replica that knows them."""
    for one in found:
        if isinstance(one.status, GetReplicaStatusResponse):
            counts = [
                f"{item.study_count:,} {enum_word(Study.State.Name(item.state))}"
                for item in one.status.studies
            ]
            return f"studies: {', '.join(counts) or 'none'}"
    return "studies: no optimizer answers"


def _up_for(start_time: Timestamp) -> str:
    return seconds(Duration(seconds=max(round(time.time()) - start_time.seconds, 0)))


def _version(status: Message | None) -> str:
    if isinstance(status, GetWorkerStatusResponse):
        return f"code {status.code_version}"
    if isinstance(status, GetServiceStatusResponse | GetReplicaStatusResponse):
        return status.version
    return ""


def _doing(status: Message | None) -> str:
    if isinstance(status, GetServiceStatusResponse):
        return (
            f"{status.served_frame_count:,} frames served, {status.cached_frame_count:,} of them "
            "from a cache"
        )
    if isinstance(status, GetWorkerStatusResponse):
        return (
            f"{status.busy_slot_count} of {status.slot_count} slots busy, "
            f"{status.queued_batch_count} batches waiting, {status.finished_set_count:,} sets run, "
            f"{len(status.cached_content_digests)} frames cached"
        )
    if isinstance(status, GetReplicaStatusResponse):
        return (
            f"{status.replica}: {len(status.owned_studies)} of {status.study_limit} studies, "
            f"leases of {status.lease_duration.ToMilliseconds() / 1000:g} s "
            f"({status.lost_lease_count} lost), {status.waiting_set_count:,} sets waiting, "
            f"{status.in_flight_set_count:,} with workers, {status.unsaved_trial_count:,} trials "
            "unsaved"
        )
    return ""
