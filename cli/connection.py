"""The three services as a client sees them: where they are, and one session for one command."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import grpc
import typer
from assay.backtest.v1.backtest_service_pb2_grpc import BacktestServiceStub
from assay.data.v1.data_service_pb2_grpc import DataServiceStub
from assay.optimizer.v1.optimizer_service_pb2_grpc import OptimizerServiceStub

from cli.failures import RefusedError, reported
from services.common.channel import connect
from services.common.settings import ChannelSettings, read_settings
from services.common.status import error_of
from services.common.telemetry import request_id

if TYPE_CHECKING:
    from assay.backtest.v1.backtest_service_pb2_grpc import BacktestServiceAsyncStub
    from assay.data.v1.data_service_pb2_grpc import DataServiceAsyncStub
    from assay.optimizer.v1.optimizer_service_pb2_grpc import OptimizerServiceAsyncStub

DATA_SERVICE = "assay.data.v1.DataService"
BACKTEST_SERVICE = "assay.backtest.v1.BacktestService"
OPTIMIZER_SERVICE = "assay.optimizer.v1.OptimizerService"


@dataclass(frozen=True, slots=True)
class ClientSettings(ChannelSettings):
    """Where the services are.

    Attributes:
        data_address: `host:port`, or another target that gRPC understands.
        backtest_address: The same for the backtest service, or any one worker of it.
        optimizer_address: The same for the optimizer.
        rpc_timeout_seconds: How long to wait for an answer that is not a stream.
    """

    data_address: str = "127.0.0.1:50051"
    backtest_address: str = "127.0.0.1:50052"
    optimizer_address: str = "127.0.0.1:50053"
    rpc_timeout_seconds: float = 60.0


class Services:
    """Stubs of the three services over channels that are opened when first needed."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._asked = ""

    @property
    def data(self) -> DataServiceAsyncStub:
        """The data service."""
        return DataServiceStub(self._channel("data", DATA_SERVICE))

    @property
    def backtest(self) -> BacktestServiceAsyncStub:
        """The backtest service."""
        return BacktestServiceStub(self._channel("backtest", BACKTEST_SERVICE))

    @property
    def optimizer(self) -> OptimizerServiceAsyncStub:
        """The optimizer."""
        return OptimizerServiceStub(self._channel("optimizer", OPTIMIZER_SERVICE))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            await channel.close()

    def refusal(self, error: grpc.RpcError) -> RefusedError:
        """Return what a failed call of the service asked last means to the user."""
        code: grpc.StatusCode = error.code()
        known = error_of(error)
        where = f"the {self._asked} service at {self._address(self._asked)}"
        refused = RefusedError.of(known, code.name, request_id.get())
        if known.reason:
            return refused
        if code is grpc.StatusCode.UNAVAILABLE:
            refused.message = (
                f"cannot reach {where}: start it with `assay serve`, or say where it is with "
                f"ASSAY_{self._asked.upper()}_ADDRESS ({known.message})"
            )
            refused.request_id = ""
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            refused.message = f"{where} did not answer in time"
        else:
            refused.message = f"{where} answered {code.name}: {known.message}"
        return refused

    def _address(self, name: str) -> str:
        address: str = getattr(self._settings, f"{name}_address")
        return address

    def _channel(self, name: str, service: str) -> grpc.aio.Channel:
        # Commands ask one service at a time, so the one asked last is the one that failed.
        self._asked = name
        if name not in self._channels:
            self._channels[name] = connect(
                self._address(name),
                service,
                timeout_seconds=self._settings.rpc_timeout_seconds,
                security=self._settings,
            )
        return self._channels[name]


Command = Callable[[Services], Awaitable[int | None]]
"""A command's work; returns its exit status, None for 0."""


async def with_services(command: Command, settings: ClientSettings) -> int:
    """Run a command's work against the services; RefusedError when one of them says no."""
    request_id.set(str(uuid.uuid4()))
    async with Services(settings) as services:
        try:
            return await command(services) or 0
        except grpc.RpcError as error:
            raise services.refusal(error) from error


def run(command: Command, *, as_json: bool) -> None:
    """Run a command's work to its end and leave with its exit status."""
    with reported(as_json=as_json):
        settings = read_settings(ClientSettings, os.environ)
        raise typer.Exit(asyncio.run(with_services(command, settings)))
