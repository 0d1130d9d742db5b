"""`assay status`: every process of the system, whether it is there, and what it is doing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import typer
from assay.backtest.v1.backtest_service_pb2 import GetWorkerStatusRequest
from assay.backtest.v1.backtest_service_pb2_grpc import BacktestServiceStub
from assay.data.v1.data_service_pb2 import GetServiceStatusRequest
from assay.data.v1.data_service_pb2_grpc import DataServiceStub
from assay.optimizer.v1.optimizer_service_pb2 import GetReplicaStatusRequest
from assay.optimizer.v1.optimizer_service_pb2_grpc import OptimizerServiceStub
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.addresses import addresses_behind
from cli.connection import BACKTEST_SERVICE, DATA_SERVICE, OPTIMIZER_SERVICE, ClientSettings
from cli.failures import EXIT_REFUSED, reported
from cli.options import JsonFlag
from cli.output import emit, emit_table
from cli.status_view import processes, studies_by_state
from services.common.channel import connect
from services.common.settings import read_settings
from services.common.status import error_of

SERVING = "serving"
UNREACHABLE = "unreachable"
ANSWER_SECONDS = 5.0
"""How long a process may take to answer."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What one process said, or that it said nothing.

    Attributes:
        service: "data", "backtest" or "optimizer".
        address: Where it was asked.
        health: "serving", "not serving" or another of the words of health, or "unreachable".
        problem: What went wrong, for people; empty where nothing did.
        status: Its answer; None where it gave none.
    """

    service: str
    address: str
    health: str = UNREACHABLE
    problem: str = ""
    status: Message | None = None

    @property
    def is_up(self) -> bool:
        """Whether it serves, and answered."""
        return self.health == SERVING and self.status is not None

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs, its answer in protobuf's JSON form."""
        told = None
        if self.status is not None:
            told = MessageToDict(
                self.status,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        return {
            "service": self.service,
            "address": self.address,
            "up": self.is_up,
            "health": self.health,
            "problem": self.problem,
            "status": told,
        }


@dataclass(frozen=True, slots=True)
class _Kind:
    """A service, and how it is asked."""

    name: str
    service: str
    ask: Callable[[grpc.aio.Channel], Awaitable[Message]]


_KINDS = (
    _Kind(
        "data",
        DATA_SERVICE,
        lambda at: _stub(DataServiceStub, at).GetServiceStatus(GetServiceStatusRequest()),
    ),
    _Kind(
        "backtest",
        BACKTEST_SERVICE,
        lambda at: _stub(BacktestServiceStub, at).GetWorkerStatus(GetWorkerStatusRequest()),
    ),
    _Kind(
        "optimizer",
        OPTIMIZER_SERVICE,
        lambda at: _stub(OptimizerServiceStub, at).GetReplicaStatus(GetReplicaStatusRequest()),
    ),
)


def _stub(kind: Any, channel: grpc.aio.Channel) -> Any:
    return kind(channel)


def command(*, as_json: JsonFlag = False) -> None:
    """Show every process behind the services' names, and what it is doing.

    Exits 1 when one of them is down.
    """
    with reported(as_json=as_json):
        settings = read_settings(ClientSettings, os.environ)
        found = asyncio.run(statuses(settings))
    all_up = all(one.is_up for one in found)
    if as_json:
        told = {"up": all_up, "processes": [one.as_json() for one in found]}
        emit(json.dumps(told, indent=2))
    else:
        emit_table(processes(found))
        emit(studies_by_state(found))
    raise typer.Exit(0 if all_up else EXIT_REFUSED)


async def statuses(settings: ClientSettings) -> list[ProcessStatus]:
    """Ask all processes at once; returns them by service and address."""
    groups = await asyncio.gather(
        *(_of_service(kind, getattr(settings, f"{kind.name}_address"), settings) for kind in _KINDS)
    )
    return [one for group in groups for one in group]


async def _of_service(kind: _Kind, target: str, settings: ClientSettings) -> list[ProcessStatus]:
    try:
        addresses = await addresses_behind(target)
    except OSError as error:
        return [ProcessStatus(kind.name, target, problem=f"cannot be resolved: {error.strerror}")]
    security = settings
    if settings.tls_ca_file is not None and settings.tls_server_name is None:
        # Processes are asked one by one at their numbers; their certificates have the name.
        security = replace(settings, tls_server_name=host_of(target))
    return list(await asyncio.gather(*(_of_process(kind, one, security) for one in addresses)))


def host_of(target: str) -> str:
    """Return the host of a target, the first where it names several."""
    first = target.rpartition("/")[2].removeprefix("ipv4:").removeprefix("ipv6:").split(",")[0]
    return first.rpartition(":")[0] or first


async def _of_process(kind: _Kind, address: str, security: ClientSettings) -> ProcessStatus:
    found = ProcessStatus(kind.name, address.removeprefix("ipv4:").removeprefix("ipv6:"))
    channel = connect(address, kind.service, timeout_seconds=ANSWER_SECONDS, security=security)
    try:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=kind.service))
        word = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        found = replace(found, health=word.lower().replace("_", " "))
        return replace(found, status=await kind.ask(channel))
    except grpc.aio.AioRpcError as error:
        return replace(found, problem=f"{error.code().name}: {error_of(error).message}")
    finally:
        await channel.close()
