"""A parameter set that kills every worker that touches it, in real processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import grpc

from services.optimizer.adapters.workers.study_workers import StudyWorkers
from services.optimizer.adapters.workers.worker_pool import WorkerPool
from tests.private_servers import free_port
from tests.unit.optimizer_adapters.standin_worker import DEADLY, outcome_of
from tests.unit.optimizer_adapters.worker_fleet import QUICK, SPEC, points


class Restarted:
    """A stand-in worker in a process of its own, started again whenever it dies."""

    def __init__(self, port: int) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.unit.optimizer_adapters.standin_worker",
            str(port),
        ]
        self.deaths = 0

    async def keep_alive(self) -> None:
        """Run it until cancelled."""
        while True:
            process = await asyncio.create_subprocess_exec(
                *self._command, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL
            )
            try:
                await process.wait()
                self.deaths += 1
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def test_a_set_that_kills_its_worker_is_given_up_and_its_neighbours_are_not() -> None:
    """A real process dies over one set, again and again; every other set gets its numbers."""
    port = free_port()
    worker = Restarted(port)
    # Without retries of its own, so that each death is one lost call.
    channel = grpc.aio.insecure_channel(
        f"127.0.0.1:{port}",
        options=[("grpc.enable_retries", 0), ("grpc.max_reconnect_backoff_ms", 200)],
    )
    alive = asyncio.create_task(worker.keep_alive())
    try:
        wanted = points(3, first=DEADLY - 1)
        outcomes = await StudyWorkers.of(WorkerPool(channel, 4, QUICK), SPEC).evaluate(wanted)
    finally:
        alive.cancel()
        with suppress(asyncio.CancelledError):
            await alive
        await channel.close()
    assert outcomes[1].failure_reason == "SET_FAILED"
    assert [outcomes[0], outcomes[2]] == [outcome_of(wanted[0]), outcome_of(wanted[2])]
    assert worker.deaths >= 5
