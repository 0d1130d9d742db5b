"""A data service in this process on a store of the test's own, beside a stand-in exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
from assay.data.v1 import data_service_pb2_grpc

from services.common.server import running
from services.data.__main__ import application
from services.data.adapters.bybit import BybitSource
from services.data.settings import DataSettings
from tests.service.bybit.stand_in import StandIn
from tests.service.data.calls import Stub

NewService = Callable[..., AbstractAsyncContextManager[Stub]]


@pytest.fixture
def exchange() -> Iterator[StandIn]:
    """The stand-in of the exchange."""
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture
def new_service(tmp_path: Path, exchange: StandIn, monkeypatch: pytest.MonkeyPatch) -> NewService:
    """Start data services over one store, on the clock of the stand-in, retrying at once."""
    impatient = partial(BybitSource, jitter=lambda: 0.0, sleep=lambda _: asyncio.sleep(0))
    monkeypatch.setattr("services.data.__main__.BybitSource", impatient)

    @asynccontextmanager
    async def start(redis_url: str | None = None, home: Path = tmp_path) -> AsyncIterator[Stub]:
        settings = DataSettings(home=str(home), redis_url=redis_url, bybit_url=exchange.url)
        service = application(settings, clock=lambda: exchange.now_ms)
        async with (
            running(service) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            yield data_service_pb2_grpc.DataServiceStub(channel)

    return start


@pytest.fixture
async def data(new_service: NewService) -> AsyncIterator[Stub]:
    """One data service."""
    async with new_service() as stub:
        yield stub
