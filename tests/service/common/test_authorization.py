"""Tokens: who may do what, how they change, and that nobody hears of them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from assay.data.v1 import data_service_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.common.errors import AssayError, Code
from services.common.settings import ChannelSettings, ServiceSettings
from services.common.status import error_of
from tests.service.common.secured_service import TokenFiles, asked, served

LISTEN = "127.0.0.1:0"


async def refusal(port: int, security: ChannelSettings, method: str) -> AssayError | None:
    """Call a method of the echo and return why it said no, or None."""
    requests = {"GetDataset": pb.GetDatasetRequest(), "DeleteDataset": pb.DeleteDatasetRequest()}
    async with asked(port, security) as stub:
        try:
            if method == "ImportCandles":
                await stub.ImportCandles(iter([pb.ImportCandlesRequest()]), timeout=20)
            elif method == "ReadCandles":
                await stub.ReadCandles(pb.ReadCandlesRequest(), timeout=20).read()
            else:
                await getattr(stub, method)(requests[method], timeout=20)
        except grpc.aio.AioRpcError as error:
            return error_of(error)
    return None


def guarded(tokens: TokenFiles, **more: Any) -> ServiceSettings:
    """Return settings of a service that asks for tokens."""
    return ServiceSettings(LISTEN, tokens_file=tokens.known, **more)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("reader", {"GetDataset", "ReadCandles"}),
        ("runner", {"GetDataset", "ReadCandles", "ImportCandles"}),
        ("boss", {"GetDataset", "ReadCandles", "ImportCandles", "DeleteDataset"}),
    ],
)
async def test_a_role_allows_what_it_says_and_no_more(
    tokens: TokenFiles, name: str, allowed: set[str]
) -> None:
    """Readers look, runners also run, administrators also delete: for every kind of call."""
    async with served(guarded(tokens)) as port:
        for method in ("GetDataset", "ReadCandles", "ImportCandles", "DeleteDataset"):
            error = await refusal(port, tokens.of(name), method)
            if method in allowed:
                assert error is None
            else:
                assert error is not None
                assert (error.code, error.reason, error.domain) == (
                    Code.PERMISSION_DENIED,
                    "ROLE_INSUFFICIENT",
                    "data.assay",
                )
                assert set(error.metadata) == {"role", "needed_role"}


@pytest.mark.parametrize("method", ["GetDataset", "ReadCandles", "ImportCandles"])
async def test_without_a_known_token_nothing_is_answered(tokens: TokenFiles, method: str) -> None:
    """No token, and one that nobody gave out, are both told so."""
    async with served(guarded(tokens)) as port:
        for security in (ChannelSettings(), tokens.of("stranger")):
            error = await refusal(port, security, method)
            assert error is not None
            assert (error.code, error.reason) == (Code.UNAUTHENTICATED, "TOKEN_INVALID")
            assert "stranger" not in error.message


async def test_health_is_for_everyone_and_reflection_is_not(tokens: TokenFiles) -> None:
    """Probes have no token; who wants to know what there is to call has one."""
    async with (
        served(guarded(tokens)) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        wire: Any = channel
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(wire)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await reflection.ServerReflectionInfo(iter([request]), timeout=20).read()
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
        bearer = (("authorization", "Bearer secret-reader"),)
        call = reflection.ServerReflectionInfo(iter([request]), timeout=20, metadata=bearer)
        assert (await call.read()).HasField("list_services_response")


async def test_tokens_are_replaced_without_a_restart(tokens: TokenFiles) -> None:
    """A token that was taken away no longer works, a new one does, on channels that are open."""
    caller = tokens.of("reader")
    async with served(guarded(tokens)) as port, asked(port, caller) as stub:
        await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)
        tokens.give(newcomer="read")
        error = await refusal(port, caller, "GetDataset")
        assert error is not None
        assert error.code is Code.UNAUTHENTICATED
        assert await refusal(port, tokens.of("newcomer"), "GetDataset") is None
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)


async def test_a_broken_tokens_file_changes_nothing(
    tokens: TokenFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """Those let in before stay in, and the log says what is wrong with which line."""
    async with served(guarded(tokens)) as port:
        tokens.give(reader="king")
        with caplog.at_level(logging.ERROR):
            assert await refusal(port, tokens.of("reader"), "GetDataset") is None
    (record,) = [one for one in caplog.records if one.message == "tokens.invalid"]
    assert "line 2" in vars(record)["problem"]


async def test_no_token_reaches_the_log(
    tokens: TokenFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is let in or not."""
    with caplog.at_level(logging.DEBUG):
        async with served(guarded(tokens)) as port:
            await refusal(port, tokens.of("reader"), "GetDataset")
            await refusal(port, tokens.of("stranger"), "GetDataset")
    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)

    assert "rpc.finished" in told
    assert "secret-" not in told


async def test_a_caller_has_only_so_many_streams(tokens: TokenFiles) -> None:
    """One beyond the share is refused; another caller is not, and closing one makes room."""
    request = pb.ReadCandlesRequest()
    async with served(guarded(tokens, stream_limit=2)) as port, AsyncExitStack() as stack:
        stub = await stack.enter_async_context(asked(port, tokens.of("reader")))
        open_calls = [stub.ReadCandles(request) for _ in range(2)]
        for call in open_calls:
            await call.read()
        error = await refusal(port, tokens.of("reader"), "ReadCandles")
        assert error is not None
        assert (error.code, error.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert error.metadata == {"limit": "2"}
        assert await refusal(port, tokens.of("runner"), "ReadCandles") is None
        open_calls[0].cancel()
        async with asyncio.timeout(60):
            # The service hears of the end when it hears of it.
            while await refusal(port, tokens.of("reader"), "ReadCandles") is not None:
                pass
