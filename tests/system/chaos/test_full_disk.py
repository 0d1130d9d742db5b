"""A disk without room: work waits, nothing is half-written, and goes on when there is room.

A limit on the size of files stands for it: a write beyond fails as it does on a full disk.
"""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.data.v1 import data_service_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.status import error_of
from tests.system.chaos.conftest import assert_whole


def limit_files(process: Any, limit_bytes: int) -> None:
    """Let a process write files up to a size and no further."""
    resource.prlimit(
        process.running.pid, resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY)
    )


def wait_until_told(process: Any, words: str) -> None:
    """Return when a process has logged some words."""
    deadline = time.monotonic() + 120
    while words not in process.log.read_text():
        assert process.running.poll() is None
        assert time.monotonic() < deadline, process.log.read_text()
        threading.Event().wait(0.05)


def test_a_study_waits_for_room_and_goes_on(
    start_optimizer: Any, spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """The store refuses writes from an early generation on; the trials are those of any disk."""
    system = start_optimizer(workers=1)
    database = Path(system.optimizer.environment["ASSAY_HOME"]) / "optimizer.sqlite3"
    full: list[int] = []

    def fill(event: study_pb2.StudyEvent) -> None:
        if event.generation_finished.generation_number == 3 and not full:
            full.append(database.stat().st_size)
            # Room for the log, which is to tell, but for no page of the database.
            limit_files(system.optimizer, system.optimizer.log.stat().st_size + 4_096)
            wait_until_told(system.optimizer, "study.waiting for=store")
            limit_files(system.optimizer, resource.RLIM_INFINITY)

    study = system.watch(system.create("full", spec).name, fill)

    assert full
    assert_whole(system, study, undisturbed)


def test_candles_without_room_are_refused_and_nothing_is_changed(start_system: Any) -> None:
    """The dataset there was stays as it was; with room the same call succeeds."""
    system = start_system(workers=1)
    before = system.data_stub.ListDatasets(data_service_pb2.ListDatasetsRequest(), timeout=60)
    request = json_format.ParseDict(
        {
            "name": "datasets/synthetic.large.1m",
            "window": {"start_time": "2024-01-01T00:00:00Z", "end_time": "2024-03-01T00:00:00Z"},
            "synthetic": {"seed": "11"},
        },
        data_service_pb2.SyncDatasetRequest(),
    )
    limit_files(system.data, 4_096)
    with pytest.raises(grpc.RpcError) as raised:
        list(system.data_stub.SyncDataset(request, timeout=60))
    error = error_of(raised.value)
    limit_files(system.data, resource.RLIM_INFINITY)

    assert error.reason == "STORE_UNAVAILABLE", error
    after = system.data_stub.ListDatasets(data_service_pb2.ListDatasetsRequest(), timeout=60)
    assert after == before
    assert list(system.data_stub.SyncDataset(request, timeout=120))[-1].HasField("dataset")
