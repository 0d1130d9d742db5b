"""`assay status` against stand-ins: what is there is described, what is not is told by the exit."""

# The stand-ins' methods are named and described by the contracts.
# ruff: noqa: N802, D102

from __future__ import annotations

import json
from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2 as backtest_pb
from assay.backtest.v1 import backtest_service_pb2_grpc as backtest_rpc
from assay.data.v1 import data_service_pb2 as data_pb
from assay.data.v1 import data_service_pb2_grpc as data_rpc
from assay.optimizer.v1 import optimizer_service_pb2 as optimizer_pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc as optimizer_rpc
from assay.optimizer.v1.study_pb2 import Study

from cli.addresses import addresses_behind
from services.common.errors import unavailable


class Data(data_rpc.DataServiceServicer):
    """A data service that has served a little."""

    async def GetServiceStatus(self, request: Any, context: Any) -> Any:
        return data_pb.GetServiceStatusResponse(
            version="9.9", served_frame_count=10, cached_frame_count=7
        )


class Worker(backtest_rpc.BacktestServiceServicer):
    """A worker with some work."""

    async def GetWorkerStatus(self, request: Any, context: Any) -> Any:
        return backtest_pb.GetWorkerStatusResponse(
            slot_count=4, busy_slot_count=3, queued_batch_count=2, code_version="2"
        )


class Optimizer(optimizer_rpc.OptimizerServiceServicer):
    """A replica with one study, which may have lost its store."""

    def __init__(self, *, with_store: bool = True) -> None:
        self._with_store = with_store

    async def GetReplicaStatus(self, request: Any, context: Any) -> Any:
        if not self._with_store:
            raise unavailable("STORE_UNAVAILABLE", "the study store does not answer")
        answer = optimizer_pb.GetReplicaStatusResponse(
            replica="one", owned_studies=["studies/a"], study_limit=16, waiting_set_count=5
        )
        answer.studies.add(state=Study.STATE_RUNNING, study_count=1)
        answer.studies.add(state=Study.STATE_SUCCEEDED, study_count=12)
        return answer


async def test_a_whole_system_is_described(stand_in: Any, assay: Any) -> None:
    """One row per process, one line on the studies, exit 0."""
    for name, servicer in (("data", Data()), ("backtest", Worker()), ("optimizer", Optimizer())):
        await stand_in(name, servicer)

    outcome = await assay("status")

    assert outcome.status == 0, outcome.err
    assert outcome.out.count(" serving ") == 3
    assert "10 frames served, 7 of them from a cache" in outcome.out
    assert "3 of 4 slots busy, 2 batches waiting" in outcome.out
    assert "one: 1 of 16 studies" in outcome.out
    assert "5 sets waiting" in outcome.out
    assert "studies: 1 running, 12 succeeded" in outcome.out


async def test_every_worker_behind_the_name_is_asked(
    stand_in: Any, assay: Any, addresses: dict[str, str]
) -> None:
    """A list of addresses is a row each; one that is away is told, and the exit is 1."""
    await stand_in("data", Data())
    await stand_in("optimizer", Optimizer())
    ports = [await stand_in("backtest", Worker()) for _ in range(2)]
    found = [f"127.0.0.1:{port}" for port in (*ports, 1)]
    addresses["ASSAY_BACKTEST_ADDRESS"] = "ipv4:" + ",".join(found)

    outcome = await assay("status", "--json")

    assert outcome.status == 1
    told = json.loads(outcome.out)
    workers = [one for one in told["processes"] if one["service"] == "backtest"]
    assert told["up"] is False
    assert [one["address"] for one in workers] == found
    assert [one["up"] for one in workers] == [True, True, False]
    assert workers[0]["status"]["busy_slot_count"] == 3
    assert workers[2]["health"] == "unreachable"
    assert workers[2]["problem"].startswith("UNAVAILABLE")
    assert workers[2]["status"] is None


async def test_a_replica_without_its_store_is_not_up(stand_in: Any, assay: Any) -> None:
    """Health alone is not enough: a process that cannot answer is down, and says why."""
    await stand_in("data", Data())
    await stand_in("backtest", Worker())
    await stand_in("optimizer", Optimizer(with_store=False))

    outcome = await assay("status")

    assert outcome.status == 1
    assert "the study store does not answer" in outcome.out
    assert "studies: no optimizer answers" in outcome.out


async def test_a_name_that_does_not_resolve_is_down(assay: Any) -> None:
    """A wrong name is one row, and not the end of the others."""
    outcome = await assay("status", ASSAY_DATA_ADDRESS="dns:///no-such-host.invalid:1")

    assert outcome.status == 1
    assert "cannot be resolved" in outcome.out
    assert outcome.out.count("unreachable") == 3


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("127.0.0.1:5", ["127.0.0.1:5"]),
        ("dns:///localhost:5", ["127.0.0.1:5"]),
        ("localhost:5", ["127.0.0.1:5"]),
        ("ipv4:10.0.0.2:5,10.0.0.1:5", ["ipv4:10.0.0.2:5", "ipv4:10.0.0.1:5"]),
        ("10.0.0.1:5,10.0.0.2:6", ["10.0.0.1:5", "10.0.0.2:6"]),
        ("[::1]:5", ["[::1]:5"]),
        ("unix:/run/assay.socket", ["unix:/run/assay.socket"]),
    ],
)
async def test_a_target_is_taken_apart(target: str, found: list[str]) -> None:
    """Lists give their members, names the addresses they resolve to, and others themselves."""
    assert await addresses_behind(target) == found
