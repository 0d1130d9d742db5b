"""Servers that hold their connections and say nothing more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.data.v1 import data_service_pb2, data_service_pb2_grpc

from services.common.channel import connect
from tests.system.processes import Process

DEADLINE_SECONDS = 45.0
"""Of the call: well beyond the 20 s after which a server is given up."""


@pytest.fixture
def data_service(tmp_path: Path) -> Iterator[Process]:
    """Start a data service; it may be left frozen."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")}
    process = Process("data", kept | {"ASSAY_HOME": str(tmp_path)}, tmp_path / "log")
    process.start()
    assert process.running is not None
    try:
        process.wait_until_serving()
        yield process
    finally:
        process.running.kill()
        process.running.wait()


async def test_a_silent_server_is_given_up_before_the_deadline(data_service: Process) -> None:
    """The connection ends, not the patience of the call: it may be made elsewhere at once."""
    async with connect(
        data_service.address, "assay.data.v1.DataService", timeout_seconds=DEADLINE_SECONDS
    ) as channel:
        stub: Any = data_service_pb2_grpc.DataServiceStub(channel)
        await stub.ListDatasets(data_service_pb2.ListDatasetsRequest())
        data_service.halt()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ListDatasets(data_service_pb2.ListDatasetsRequest())

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
