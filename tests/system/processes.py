"""Services as processes, and systems of them, whose parts can be killed and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
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
