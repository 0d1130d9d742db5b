"""The optimizer over real gRPC, on SQLite, with a scripted worker."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2
from google.protobuf import json_format

from services.common.errors import AssayError
from services.common.server import running
from services.common.status import error_of
from services.optimizer.__main__ import application
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.settings import OptimizerSettings
from tests.service.optimizer import scripted_worker
from tests.service.optimizer.scripted_worker import DATASET, ScriptedWorker


@dataclass
class Optimizer:
    """A client of a running optimizer.

    Attributes:
        stub: The contract's stub.
        worker: The worker behind it.
        port: Where it listens.
        settings: How it was started.
        leave: Ends the process's share of it, as SIGTERM would; the store stays.
    """

    stub: optimizer_service_pb2_grpc.OptimizerServiceAsyncStub
    worker: ScriptedWorker
    port: int
    settings: OptimizerSettings
    leave: Callable[[], Awaitable[None]]

    async def create(self, spec: dict[str, Any], **request: Any) -> study_pb2.Study:
        """Create a study of a spec in its JSON form."""
        message = json_format.ParseDict(spec, study_pb2.StudySpec())
        answer = await self.stub.CreateStudy(
            pb.CreateStudyRequest(spec=message, **request), timeout=30
        )
        return answer.study

    async def estimate(self, spec: dict[str, Any]) -> pb.CreateStudyResponse:
        """Ask for an estimate."""
        message = json_format.ParseDict(spec, study_pb2.StudySpec())
        return await self.stub.CreateStudy(
            pb.CreateStudyRequest(spec=message, validate_only=True), timeout=30
        )

    async def watch(self, name: str, after: int = 0) -> list[study_pb2.StudyEvent]:
        """Return all events of a study up to its end."""
        request = pb.WatchStudyRequest(name=name, after_event_number=after)
        return [answer.event async for answer in self.stub.WatchStudy(request, timeout=60)]

    async def finished(self, spec: dict[str, Any], **request: Any) -> study_pb2.Study:
        """Create a study and wait for its end."""
        study = await self.create(spec, **request)
        return (await self.watch(study.name))[-1].study_finished

    async def trials(self, name: str, **request: Any) -> list[study_pb2.Trial]:
        """Return all trials of a study."""
        answer = await self.stub.ListTrials(
            pb.ListTrialsRequest(parent=name, page_size=1000, **request), timeout=30
        )
        return list(answer.trials)


StartOptimizer = Callable[..., Any]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store's file with its tables; making them takes half a second."""
    file = tmp_path_factory.mktemp("empty") / "optimizer.sqlite3"

    async def make() -> None:
        await (await OptunaStore.open(f"sqlite:///{file}")).close()

    asyncio.run(make())
    return file


@pytest.fixture
async def start(tmp_path: Path, empty_store: Path) -> AsyncIterator[StartOptimizer]:
    """Return a function that starts an optimizer with the settings it is given.

    All of one test share the store; a worker given as `worker` is used again.
    """
    shutil.copy(empty_store, tmp_path)
    async with AsyncExitStack() as stack:

        async def begin(worker: ScriptedWorker | None = None, **settings: Any) -> Optimizer:
            worker = worker or ScriptedWorker()
            worker_port = await stack.enter_async_context(
                running(scripted_worker.application(worker))
            )
            chosen = OptimizerSettings(
                **{
                    "home": str(tmp_path),
                    "backtest_address": f"127.0.0.1:{worker_port}",
                    "rpc_timeout_seconds": 10.0,
                    **settings,
                }
            )
            store = await OptunaStore.open(chosen.store_url)
            process = await stack.enter_async_context(AsyncExitStack())
            port = await process.enter_async_context(running(application(chosen, store)))
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            )
            stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
            return Optimizer(stub, worker, port, chosen, process.aclose)

        yield begin


@pytest.fixture
async def optimizer(start: StartOptimizer) -> Optimizer:
    """Return a running optimizer."""
    started: Optimizer = await start()
    return started


@pytest.fixture
def random_spec() -> dict[str, Any]:
    """Return a study of 40 random trials, in JSON form."""
    return {
        "data": [{"dataset": DATASET}],
        "strategy": {"name": "strategies/ma_crossover"},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 5, "high": 50}},
            {"name": "slow_period", "int_range": {"low": 20, "high": 200}},
            {"name": "average", "categories": {"values": ["sma", "ema"]}},
        ],
        "constraints": ["trade_count >= 12"],
        "objectives": [{"metric": "sharpe_ratio"}],
        "random": {"trial_count": 40},
        "seed": "7",
        "generation_size": 8,
    }


@pytest.fixture
def grid_spec(random_spec: dict[str, Any]) -> dict[str, Any]:
    """Return the example grid of 100 points, 90 of them with fast < slow."""
    spec = {key: random_spec[key] for key in ("data", "strategy", "objectives")}
    return spec | {
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 5, "high": 50, "step": 5}},
            {"name": "slow_period", "int_range": {"low": 20, "high": 200, "step": 20}},
        ],
        "constraints": ["fast_period < slow_period"],
        "grid": {},
    }


@pytest.fixture
def refused() -> Callable[[Any], Any]:
    """Return a function that awaits a call and returns its AssayError."""

    async def awaited(call: Any) -> AssayError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return error_of(caught.value)

    return awaited
