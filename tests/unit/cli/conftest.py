"""The command line as a real process, and stand-ins of the services over real gRPC."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from assay.backtest.v1 import backtest_service_pb2_grpc as backtest_rpc
from assay.data.v1 import data_service_pb2_grpc as data_rpc
from assay.optimizer.v1 import optimizer_service_pb2_grpc as optimizer_rpc

from services.common.server import Application, running

_REGISTER: dict[str, Callable[[Any, grpc.aio.Server], None]] = {
    "data": data_rpc.add_DataServiceServicer_to_server,
    "backtest": backtest_rpc.add_BacktestServiceServicer_to_server,
    "optimizer": optimizer_rpc.add_OptimizerServiceServicer_to_server,
}


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line left behind."""

    status: int
    out: str
    err: str


Assay = Callable[..., Awaitable[Outcome]]
Serve = Callable[[str, Any], Awaitable[int]]


@pytest.fixture
def addresses() -> dict[str, str]:
    """Addresses of the services by the names of their settings; nobody listens at first."""
    return {f"ASSAY_{name.upper()}_ADDRESS": "127.0.0.1:1" for name in _REGISTER}


@pytest.fixture
def assay(addresses: dict[str, str]) -> Assay:
    """Return a function that runs the command line as a process and waits for its end."""

    async def run(*words: str, **settings: str) -> Outcome:
        environment = {
            name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *words),
            env=environment | addresses | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    return run


@pytest.fixture
async def stand_in(addresses: dict[str, str]) -> AsyncIterator[Serve]:
    """Serve a stand-in of one service; the command line finds it. Returns its port."""
    async with AsyncExitStack() as stack:

        async def serve(name: str, servicer: Any) -> int:
            application = Application(
                name=name,
                service=f"assay.{name}.v1.{name.title()}Service",
                domain=f"{name}.assay",
                register=lambda server: _REGISTER[name](servicer, server),
                warm_up=_nothing,
                close=_nothing,
            )
            port = await stack.enter_async_context(running(application))
            addresses[f"ASSAY_{name.upper()}_ADDRESS"] = f"127.0.0.1:{port}"
            return port

        yield serve


async def _nothing() -> None:
    pass
