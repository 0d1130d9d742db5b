"""Clients that mean harm, or have lost their way: the others do not notice."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import grpc
from assay.data.v1 import data_service_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.settings import ChannelSettings
from tests.service.common.secured_service import asked, served

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


async def healthy(port: int) -> bool:
    """Tell whether health is answered, over a connection of its own."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_connections_that_say_nothing_keep_nobody_out() -> None:
    """Silent ones, half a greeting, a greeting and silence, and plain nonsense: 400 of them."""
    with ExitStack() as stack:
        async with served() as port:
            for place in range(400):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                words = (b"", PREFACE[:9], PREFACE + EMPTY_SETTINGS, b"GET / HTTP/1.1\r\n")
                one.sendall(words[place % 4])

            assert await healthy(port)
            async with asked(port, ChannelSettings()) as stub:
                await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)


async def test_uploads_that_never_end_keep_nobody_out() -> None:
    """A hundred callers have begun to send and do not go on."""
    async with served() as port, AsyncExitStack() as stack:
        stub = await stack.enter_async_context(asked(port, ChannelSettings()))
        for _ in range(100):
            call = stub.ImportCandles()
            await call.write(pb.ImportCandlesRequest())
            stack.callback(call.cancel)

        assert await healthy(port)
        await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)


async def test_a_message_beyond_the_limit_is_refused_and_the_connection_goes_on() -> None:
    """It is refused by its length, and the next call is answered."""
    async with served() as port, asked(port, ChannelSettings()) as stub:
        huge = pb.GetDatasetRequest(name="x" * (17 * 1024 * 1024))
        refused = await asyncio.gather(stub.GetDataset(huge, timeout=60), return_exceptions=True)
        assert isinstance(refused[0], grpc.aio.AioRpcError)
        assert refused[0].code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)


async def test_hundreds_of_streams_leave_room_for_others() -> None:
    """Five hundred open streams, and health and calls are answered beside them."""
    async with served() as port, asked(port, ChannelSettings()) as stub:
        streams = [stub.ReadCandles(pb.ReadCandlesRequest()) for _ in range(500)]
        await asyncio.gather(*(stream.read() for stream in streams))

        assert await healthy(port)
        await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)
        for stream in streams:
            stream.cancel()
