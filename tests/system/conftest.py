"""Whole systems of real processes, whose parts can be killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.backtest.v1 import backtest_service_pb2_grpc
from assay.data.v1 import data_service_pb2, data_service_pb2_grpc
from assay.optimizer.v1 import optimizer_service_pb2, optimizer_service_pb2_grpc, study_pb2
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.private_servers import free_port

START_SECONDS = 300
"""A cold worker compiles its kernels; everything else starts within seconds."""

DATASET = "datasets/synthetic.system.1h"
WINDOW = {"start_time": "2024-01-01T00:00:00Z", "end_time": "2024-07-01T00:00:00Z"}


@dataclass
class Process:
    """One service as a process on a port of its own."""

    service: str
    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    running: subprocess.Popen[bytes] | None = None
    command: list[str] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it; `wait_until_serving` tells when it is ready."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command or [sys.executable, "-m", f"services.{self.service}"],
                env=self.environment | {"ASSAY_LISTEN_ADDRESS": self.address},
                stdout=log,
                stderr=log,
            )

    def wait_until_serving(self) -> None:
        """Wait for its health; fails with its log when the process ends first."""
        assert self.running is not None
        deadline = time.monotonic() + START_SECONDS
        request = health_pb2.HealthCheckRequest()
        with grpc.insecure_channel(self.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while self.running.poll() is None and time.monotonic() < deadline:
                with suppress(grpc.RpcError):
                    for answer in stub.Watch(request, wait_for_ready=True, timeout=5):
                        if answer.status == health_pb2.HealthCheckResponse.SERVING:
                            return
        raise AssertionError(f"{self.service}: {self.log.read_text()}")

    def halt(self) -> None:
        """Freeze it where it stands: it neither runs nor notices."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a frozen one run on."""
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def send(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        assert self.running is not None
        self.running.send_signal(number)
        return self.running.wait(timeout=60)


@dataclass
class System:
    """Three services, with as many workers and replicas of the optimizer as wanted."""

    data: Process
    workers: list[Process]
    optimizers: list[Process]
    stack: ExitStack

    def processes(self) -> list[Process]:
        """Return all of them, in the order they start."""
        return [self.data, *self.workers, *self.optimizers]

    @property
    def optimizer(self) -> Process:
        """The first replica of the optimizer."""
        return self.optimizers[0]

    def stub(self, kind: type[Any], address: str) -> Any:
        """Return a stub over a channel that is closed with the system."""
        return kind(self.stack.enter_context(grpc.insecure_channel(address)))

    @property
    def optimizer_stub(self) -> Any:
        """The optimizer's stub, over whichever replica is there."""
        addresses = "ipv4:" + ",".join(replica.address for replica in self.optimizers)
        return self.stub(optimizer_service_pb2_grpc.OptimizerServiceStub, addresses)

    @property
    def backtest_stub(self) -> Any:
        """The first worker's stub."""
        return self.stub(backtest_service_pb2_grpc.BacktestServiceStub, self.workers[0].address)

    @property
    def data_stub(self) -> Any:
        """The data service's stub."""
        return self.stub(data_service_pb2_grpc.DataServiceStub, self.data.address)

    def make_dataset(self) -> None:
        """Make half a year of synthetic hourly candles."""
        request = json_format.ParseDict(
            {"name": DATASET, "window": WINDOW, "synthetic": {"seed": "11"}},
            data_service_pb2.SyncDatasetRequest(),
        )
        assert list(self.data_stub.SyncDataset(request, timeout=60))[-1].dataset.row_count == 4368

    def create(self, study_id: str, spec: dict[str, Any]) -> study_pb2.Study:
        """Create a study of a spec in its JSON form."""
        request = optimizer_service_pb2.CreateStudyRequest(
            study_id=study_id, spec=json_format.ParseDict(spec, study_pb2.StudySpec())
        )
        study: study_pb2.Study = self.optimizer_stub.CreateStudy(request, timeout=60).study
        return study

    def watch(
        self, name: str, on_event: Callable[[study_pb2.StudyEvent], None] = lambda _: None
    ) -> study_pb2.Study:
        """Follow a study to its end, over losses of the stream; returns the finished study."""
        seen = 0
        while True:
            request = optimizer_service_pb2.WatchStudyRequest(name=name, after_event_number=seen)
            try:
                for answer in self.optimizer_stub.WatchStudy(
                    request, wait_for_ready=True, timeout=240
                ):
                    assert answer.event.number == seen + 1
                    seen = answer.event.number
                    on_event(answer.event)
                    if answer.event.HasField("study_finished"):
                        finished: study_pb2.Study = answer.event.study_finished
                        return finished
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise

    def trials(self, name: str) -> list[study_pb2.Trial]:
        """Return all trials of a study, page by page."""
        found: list[study_pb2.Trial] = []
        token = ""
        while True:
            answer = self.optimizer_stub.ListTrials(
                optimizer_service_pb2.ListTrialsRequest(
                    parent=name, page_size=64, page_token=token
                ),
                timeout=60,
            )
            found.extend(answer.trials)
            token = answer.next_page_token
            if not token:
                return found


StartSystem = Callable[..., System]


@pytest.fixture
def start_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    """Return a function that starts a system: `start_system(workers=3, database_url=...)`.

    With `other_processor` the last replica of the optimizer has these environment variables too;
    `reach` makes the optimizer's target of the workers' addresses; with
    `optimizer_command` the optimizer is run by that.
    """
    with _starter(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    """Return the same for a system that all tests of a module use and none harms."""
    with _starter(tmp_path_factory) as start:
        yield start


@contextmanager
def _starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    with ExitStack() as stack:

        def start(
            workers: int = 1,
            optimizers: int = 1,
            other_processor: dict[str, str] | None = None,
            reach: Callable[[list[str]], str] = lambda addresses: "ipv4:" + ",".join(addresses),
            worker_host: str = "127.0.0.1",
            optimizer_command: list[str] | None = None,
            **settings: str,
        ) -> System:
            home = tmp_path_factory.mktemp("system")
            environment = {
                key: value for key, value in os.environ.items() if not key.startswith("ASSAY_")
            }
            environment["ASSAY_HOME"] = str(home)
            environment |= {f"ASSAY_{key.upper()}": value for key, value in settings.items()}

            counts: Counter[str] = Counter()

            def process(service: str, **more: str) -> Process:
                counts[service] += 1
                log = home / f"{service}-{counts[service]}.log"
                made = Process(service, environment | more, log)
                stack.callback(_end, made)
                return made

            data = process("data")
            pool = [process("backtest", ASSAY_DATA_ADDRESS=data.address) for _ in range(workers)]
            for worker in pool:
                worker.host = worker_host
            addresses = reach([worker.address for worker in pool])
            replicas = [
                process("optimizer", ASSAY_BACKTEST_ADDRESS=addresses) for _ in range(optimizers)
            ]
            for replica in replicas:
                replica.command = optimizer_command
            replicas[-1].environment |= other_processor or {}
            system = System(data, pool, replicas, stack)
            for member in system.processes():
                member.start()
            for member in system.processes():
                member.wait_until_serving()
            system.make_dataset()
            return system

        yield start


def _end(process: Process) -> None:
    if process.running is not None and process.running.poll() is None:
        process.running.kill()
        process.running.wait()


@pytest.fixture
def bayesian_spec() -> dict[str, Any]:
    """Return a 100-trial study over the synthetic market, in JSON form."""
    return {
        "data": [{"dataset": DATASET, "window": WINDOW}],
        "strategy": {"name": "strategies/ma_crossover", "direction": "DIRECTION_BOTH"},
        "execution": {"taker_fee_bps": 5.5, "slippage_bps": 1.0},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 3, "high": 60}},
            {"name": "slow_period", "int_range": {"low": 10, "high": 240, "step": 5}},
            {"name": "average", "categories": {"values": ["sma", "ema"]}},
            {"name": "stop_loss_ratio", "double_range": {"low": 0.005, "high": 0.1, "log": True}},
        ],
        "constraints": ["fast_period < slow_period", "trade_count >= 5"],
        "objectives": [{"metric": "sharpe_ratio"}],
        "bayesian": {"trial_count": 100},
        "seed": "42",
    }


@pytest.fixture
def grid_spec(bayesian_spec: dict[str, Any]) -> dict[str, Any]:
    """Return the example grid: 10 x 10 points of which 90 have fast < slow."""
    spec = {key: bayesian_spec[key] for key in ("data", "execution", "objectives")}
    return spec | {
        "strategy": {"name": "strategies/ma_crossover"},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 5, "high": 50, "step": 5}},
            {"name": "slow_period", "int_range": {"low": 20, "high": 200, "step": 20}},
        ],
        "constraints": ["fast_period < slow_period"],
        "grid": {},
        "generation_size": 16,
    }
