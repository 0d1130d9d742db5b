"""Services as child processes on free ports, and what they cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_START_SECONDS = 600.0
"""A worker compiles its kernels when its sources are new."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    Attributes:
        address: Where it listens.
        process: The process.
    """

    address: str
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads so far, to the nanosecond (Linux)."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def peak_rss_mb(self) -> float:
        """Return the most memory it has held, in MiB (Linux)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024


@contextmanager
def service(name: str, home: Path, **settings: str) -> Iterator[Service]:
    """Run `services.<name>` until the block ends; `settings` are ASSAY_* variables.

    Raises:
        SystemExit: it did not start; its log is told.
    """
    running = launched(name, home, f"127.0.0.1:{free_port()}", settings)
    try:
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(timeout=60)


def launched(name: str, home: Path, address: str, settings: dict[str, str]) -> Service:
    """Start `services.<name>` on an address and return when it serves; the caller ends it.

    Raises:
        SystemExit: it did not start; its log is told.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ASSAY_")}
    own = {"ASSAY_HOME": str(home), "ASSAY_LISTEN_ADDRESS": address, **settings}
    log = home / f"{name}-{address.rpartition(':')[2]}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"],
            env=kept | own,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_serving(address, process, log)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Service(address, process)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_serving(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    request = health_pb2.HealthCheckRequest()
    until = time.monotonic() + _START_SECONDS
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        while process.poll() is None and time.monotonic() < until:
            try:
                answer = stub.Check(request, wait_for_ready=True, timeout=1.0)
            except grpc.RpcError:
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.05)
    raise SystemExit(f"the service did not start:\n{log.read_text()}")
