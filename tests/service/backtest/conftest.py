"""A worker and a data service as real gRPC servers on free ports."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from assay.backtest.v1 import backtest_service_pb2_grpc

from services.backtest.__main__ import application
from services.backtest.settings import BacktestSettings
from services.common.server import running
from tests.service.backtest.calls import DATASET, StartWorker, Stub
from tests.service.backtest.in_memory_data import InMemoryData, random_market


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Whatever a test starts ends with it, last first."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def data() -> InMemoryData:
    """A data service with 600 hourly bars; `data_port` serves it."""
    return InMemoryData({DATASET: random_market(600)})


@pytest.fixture
async def data_port(data: InMemoryData, stack: AsyncExitStack) -> int:
    """The data service, listening."""
    return await stack.enter_async_context(running(data.application()))


@pytest.fixture
def start_worker(stack: AsyncExitStack) -> StartWorker:
    """Starts a worker at a data port with the settings given, and returns its stub."""

    async def start(data_port: int, **changes: Any) -> Stub:
        settings = BacktestSettings(data_address=f"127.0.0.1:{data_port}", slots=1)
        worker = application(dataclasses.replace(settings, **changes))
        port = await stack.enter_async_context(running(worker))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await stack.enter_async_context(channel)
        return backtest_service_pb2_grpc.BacktestServiceStub(channel)

    return start


@pytest.fixture
async def worker(start_worker: StartWorker, data_port: int) -> Stub:
    """A worker with one slot."""
    stub: Stub = await start_worker(data_port)
    return stub
