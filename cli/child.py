"""One service as a child process: started, watched, started again when it dies, drained."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli import tether
from services.common.channel import PLAIN, opened
from services.common.settings import ChannelSettings

_MOST_DEATHS = 5
_DEATHS_SECONDS = 30.0
_FIRST_BACKOFF_SECONDS = 0.1
_HEALTH_SECONDS = 0.05
_LAST_LINES = 20
_LAST_BYTES = 65_536


class ChildKeepsDyingError(Exception):
    """A child died too often; the message holds its last log lines."""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What to start.

    Attributes:
        name: Its name in logs and pid files: "backtest-1".
        module: The Python module to run.
        service: Full gRPC name of its service.
        port: The loopback port it listens on.
        environment: Its whole environment.
        security: How to ask it for its health.
    """

    name: str
    module: str
    service: str
    port: int
    environment: Mapping[str, str]
    security: ChannelSettings = PLAIN


class Child:
    """A child process and its successors on the same port."""

    def __init__(
        self, plan: ChildPlan, home: Path, *, verbose: bool, say: Callable[[str], None]
    ) -> None:
        """Prepare a child; nothing is started yet.

        Args:
            plan: What to start.
            home: Where `logs/` and `run/` are.
            verbose: Whether its log goes to stderr instead of its file.
            say: Told in one line when the child has died.
        """
        self.plan = plan
        self._log_file = home / "logs" / f"{plan.name}.log"
        self._pid_file = home / "run" / f"{plan.name}.pid"
        self._verbose = verbose
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)

    async def keep_running(self) -> None:
        """Run the child, and run it again whenever it dies, until it is told to stop.

        Raises:
            ChildKeepsDyingError: it died five times within 30 s.
        """
        while not self._stopping.is_set():
            self._process = await self._spawn()
            self._pid_file.write_text(f"{self._process.pid}\n")
            if self._stopping.is_set():
                # Told to stop while it was being born.
                self.kill()
            status = await self._process.wait()
            self._pid_file.unlink(missing_ok=True)
            if not self._stopping.is_set():
                await self._survive(status)

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self._log() as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid())),
                *(sys.executable, "-m", self.plan.module),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.plan.environment,
                # Its own session: Ctrl-C on the terminal reaches the supervisor only.
                start_new_session=True,
            )

    def _log(self) -> IO[Any]:
        if self._verbose:
            return os.fdopen(os.dup(2), "wb")
        return self._log_file.open("ab")

    async def _survive(self, status: int) -> None:
        self._deaths.append(time.monotonic())
        told = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if len(self._deaths) == _MOST_DEATHS:
            passed = self._deaths[-1] - self._deaths[0]
            if passed < _DEATHS_SECONDS:
                raise ChildKeepsDyingError(
                    f"{self.plan.name} {told}; it died {_MOST_DEATHS} times within "
                    f"{passed:.0f} s, giving up\n{self.last_lines()}"
                )
        self._say(f"{self.plan.name} {told}; starting it again on port {self.plan.port}")
        recent = sum(time.monotonic() - died < _DEATHS_SECONDS for died in self._deaths)
        await self._stopped_within(_FIRST_BACKOFF_SECONDS * 2 ** (recent - 1))

    async def _stopped_within(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def last_lines(self) -> str:
        """Return the end of its log; empty where the log went to stderr."""
        if self._verbose or not self._log_file.exists():
            return ""
        with self._log_file.open("rb") as log:
            log.seek(max(0, self._log_file.stat().st_size - _LAST_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"  {line}" for line in lines)

    async def serving(self) -> None:
        """Return as soon as its health says SERVING."""
        options = [
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 250),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        address = f"127.0.0.1:{self.plan.port}"
        request = health_pb2.HealthCheckRequest(service=self.plan.service)
        async with opened(address, options, self.plan.security) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while True:
                try:
                    answer = await stub.Check(request, wait_for_ready=True)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.aio.AioRpcError:
                    # It died while it was starting; its successor is asked next.
                    pass
                await asyncio.sleep(_HEALTH_SECONDS)

    async def stop(self, deadline: float) -> None:
        """Ask it to drain and wait; end it when the time (monotonic) has come."""
        self._stopping.set()
        if self._process is None or self._process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), max(deadline - time.monotonic(), 0.01))
        except TimeoutError:
            self._say(f"{self.plan.name} did not drain in time; ending it")
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
