"""A data service that is killed leaves whole versions behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from assay.data.v1 import data_service_pb2_grpc

from tests.private_servers import free_port
from tests.service.data.calls import Stub, bars, import_bars, read

REPOSITORY = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def process(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Stub]]:
    """Run `python -m services.data` until the block ends, and yield it when it answers."""
    address = f"127.0.0.1:{free_port()}"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    settings = {"ASSAY_HOME": str(home), "ASSAY_LISTEN_ADDRESS": address}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.data",
        cwd=REPOSITORY,
        env=plain | settings,
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
            yield running, data_service_pb2_grpc.DataServiceStub(channel)
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.send_signal(signal.SIGTERM)
        await running.wait()


async def test_a_kill_in_the_middle_of_imports_leaves_a_whole_version(tmp_path: Path) -> None:
    """Whenever the process dies, a new one serves one of the versions that were sent."""
    versions = [bars(range(20_000), price=100.0 + number) for number in range(30)]
    digests = [version.content_digest() for version in versions]
    acknowledged = -1
    async with process(tmp_path) as (running, data):
        for number, version in enumerate(versions):
            importing = asyncio.ensure_future(import_bars(data, version))
            if number == 3:
                running.kill()
            try:
                await importing
            except grpc.RpcError:
                break
            acknowledged = number
    assert acknowledged == 2
    async with process(tmp_path) as (running, data):
        described, served = await read(data)
        assert served.content_digest() == described.snapshot.content_digest
        assert digests.index(served.content_digest()) >= acknowledged
        again = await import_bars(data, versions[-1])
        assert again.content_digest == digests[-1]
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0
