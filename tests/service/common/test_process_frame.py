"""What every service gets from `services.common`: errors, health, request ids, deadlines."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import data_service_pb2_grpc as rpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.channel import connect
from services.common.errors import AssayError, Code, Violation, fields_invalid, unavailable
from services.common.server import LIVENESS, Application, running
from services.common.status import error_of
from services.common.telemetry import REQUEST_ID_KEY, deadline_at, request_id

SERVICE = "assay.data.v1.DataService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Scripted(rpc.DataServiceServicer):
    """Answers as the dataset's name says."""

    seen_request_ids: list[str]
    remaining_seconds: float | None

    def __init__(self) -> None:
        self.seen_request_ids = []
        self.remaining_seconds = None

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> Any:  # noqa: N802
        """Fail or answer."""
        self.seen_request_ids.append(request_id.get())
        if request.name == "wrong":
            raise fields_invalid([Violation("name", "is wrong"), Violation("other", "as well")])
        if request.name == "busy":
            raise unavailable("SOURCE_UNAVAILABLE", "come back", retry_after_ms=2_500)
        if request.name == "foreign":
            raise AssayError(Code.ABORTED, "DATASET_CHANGED", "changed", domain="elsewhere.assay")
        if request.name == "defect":
            raise ValueError("secret path")
        return pb.GetDatasetResponse()

    async def ReadCandles(  # noqa: N802
        self, request: pb.ReadCandlesRequest, context: Any
    ) -> AsyncIterator[pb.ReadCandlesResponse]:
        """Send one message, then fail."""
        yield pb.ReadCandlesResponse()
        raise AssayError(Code.OUT_OF_RANGE, "WINDOW_OUTSIDE_DATASET", "no bars")


async def _nothing() -> None:
    return None


def application(servicer: Scripted, warm_up: Any = _nothing) -> Application:
    """Put a servicer into the frame of a service."""
    return Application(
        name="data",
        service=SERVICE,
        domain="data.assay",
        register=lambda server: rpc.add_DataServiceServicer_to_server(servicer, server),
        warm_up=warm_up,
        close=_nothing,
    )


@asynccontextmanager
async def served(servicer: Scripted) -> AsyncIterator[Any]:
    """Serve and yield a stub."""
    async with (
        running(application(servicer)) as port,
        connect(f"127.0.0.1:{port}", SERVICE) as channel,
    ):
        yield rpc.DataServiceStub(channel)


async def failure_of(call: Any) -> AssayError:
    """Return the error a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return error_of(raised.value)


async def test_an_error_travels_with_reason_domain_and_every_violation() -> None:
    """What a servicer raises is what the client reads, apart from nothing."""
    async with served(Scripted()) as stub:
        error = await failure_of(stub.GetDataset(pb.GetDatasetRequest(name="wrong")))

    assert (error.code, error.reason, error.domain) == (
        Code.INVALID_ARGUMENT,
        "FIELD_INVALID",
        "data.assay",
    )
    assert error.violations == (Violation("name", "is wrong"), Violation("other", "as well"))


async def test_an_unavailable_service_says_when_to_come_back() -> None:
    """RetryInfo survives the wire, and the channel does not ask again by itself."""
    servicer = Scripted()
    async with served(servicer) as stub:
        error = await failure_of(stub.GetDataset(pb.GetDatasetRequest(name="busy")))

    assert (error.code, error.retry_after_ms) == (Code.UNAVAILABLE, 2_500)
    assert len(servicer.seen_request_ids) == 1


async def test_an_error_of_another_service_keeps_its_domain() -> None:
    """A service that passes an error through does not sign it."""
    async with served(Scripted()) as stub:
        error = await failure_of(stub.GetDataset(pb.GetDatasetRequest(name="foreign")))

    assert error.domain == "elsewhere.assay"


async def test_a_defect_tells_only_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    """Texts of unexpected exceptions stay in the log."""
    with caplog.at_level(logging.ERROR):
        async with served(Scripted()) as stub:
            error = await failure_of(stub.GetDataset(pb.GetDatasetRequest(name="defect")))

    assert (error.code, error.reason) == (Code.INTERNAL, "INTERNAL")
    assert "secret" not in error.message
    assert error.metadata["request_id"] in error.message
    assert "secret path" in caplog.text


async def test_an_error_in_the_middle_of_a_stream_has_its_details() -> None:
    """Streams fail as precisely as single answers."""
    async with served(Scripted()) as stub:
        stream = stub.ReadCandles(pb.ReadCandlesRequest())
        assert await stream.read() == pb.ReadCandlesResponse()
        error = await failure_of(stream.read())

    assert (error.code, error.reason) == (Code.OUT_OF_RANGE, "WINDOW_OUTSIDE_DATASET")


async def test_the_callers_request_id_reaches_the_handler_and_comes_back() -> None:
    """One id joins the log lines of all services."""
    servicer = Scripted()
    async with served(servicer) as stub:
        call = stub.GetDataset(
            pb.GetDatasetRequest(name="fine"), metadata=((REQUEST_ID_KEY, "abc"),)
        )
        await call
        trailing = dict(await call.trailing_metadata())

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetDataset(
                pb.GetDatasetRequest(name="wrong"), metadata=((REQUEST_ID_KEY, "def"),)
            )

    assert servicer.seen_request_ids == ["abc", "def"]
    assert trailing[REQUEST_ID_KEY] == "abc"
    assert dict(raised.value.trailing_metadata())[REQUEST_ID_KEY] == "def"


async def test_a_request_id_that_would_crowd_headers_is_replaced() -> None:
    """A caller's id of kilobytes would leave no room for an error's details."""
    servicer = Scripted()
    async with served(servicer) as stub:
        metadata = ((REQUEST_ID_KEY, "a" * 5_000),)
        await stub.GetDataset(pb.GetDatasetRequest(name="fine"), metadata=metadata)

    assert len(servicer.seen_request_ids[0]) == 36


async def test_a_call_given_up_by_its_caller_is_logged_as_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log must not count it among the calls that went well."""

    class Endless(Scripted):
        async def ReadCandles(  # noqa: N802
            self, request: pb.ReadCandlesRequest, context: Any
        ) -> AsyncIterator[pb.ReadCandlesResponse]:
            try:
                yield pb.ReadCandlesResponse()
                await asyncio.Event().wait()
            finally:
                ended.set()

    ended = asyncio.Event()
    with caplog.at_level(logging.INFO):
        async with served(Endless()) as stub:
            stream = stub.ReadCandles(pb.ReadCandlesRequest())
            await stream.read()
            stream.cancel()
            await ended.wait()

    assert [vars(line)["code"] for line in caplog.records if line.message == "rpc.finished"] == [
        "CANCELLED"
    ]


async def test_a_call_below_gets_the_request_id_and_no_more_time_than_the_call_above() -> None:
    """Deadlines and ids are passed on without anybody's doing."""
    servicer = Scripted()

    class Outer(Scripted):
        async def GetDataset(  # noqa: N802
            self, request: pb.GetDatasetRequest, context: Any
        ) -> pb.GetDatasetResponse:
            assert deadline_at.get() is not None
            answer: pb.GetDatasetResponse = await inner_stub.GetDataset(request)
            return answer

    class Inner(Scripted):
        async def GetDataset(  # noqa: N802
            self, request: pb.GetDatasetRequest, context: Any
        ) -> pb.GetDatasetResponse:
            servicer.seen_request_ids.append(request_id.get())
            servicer.remaining_seconds = context.time_remaining()
            return pb.GetDatasetResponse()

    async with served(Inner()) as inner_stub, served(Outer()) as stub:
        await stub.GetDataset(
            pb.GetDatasetRequest(name="fine"), timeout=5, metadata=((REQUEST_ID_KEY, "one"),)
        )

    assert servicer.seen_request_ids == ["one"]
    assert servicer.remaining_seconds is not None
    assert 0 < servicer.remaining_seconds <= 5


async def test_health_says_serving_only_after_the_warm_up() -> None:
    """A cold worker gets no calls, and is nevertheless alive."""
    warm = asyncio.Event()
    statuses: dict[str, Any] = {}

    async def warm_up() -> None:
        await warm.wait()

    app = application(Scripted(), warm_up)
    port_known: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve_until_warm() -> None:
        async with running(app, listen=f"127.0.0.1:{free_port()}") as port:
            statuses["after"] = await checked(port, SERVICE)
            port_known.set_result(port)

    def free_port() -> int:
        import socket  # noqa: PLC0415 - only this test needs it

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            statuses["port"] = probe.getsockname()[1]
        return int(statuses["port"])

    serving = asyncio.create_task(serve_until_warm())
    await asyncio.sleep(0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{statuses['port']}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watching: Any = stub
        before = await watching.Check(
            health_pb2.HealthCheckRequest(service=SERVICE), wait_for_ready=True, timeout=10
        )
        alive = await watching.Check(health_pb2.HealthCheckRequest(service=LIVENESS), timeout=10)
    warm.set()
    await serving

    assert (before.status, alive.status, statuses["after"]) == (NOT_SERVING, SERVING, SERVING)


async def test_health_can_be_watched() -> None:
    """Balancers and supervisors follow health instead of asking again and again."""
    async with (
        running(application(Scripted())) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        first = await watching.read()

    assert first.status == SERVING


async def checked(port: int, name: str) -> Any:
    """Return the health of a service by name."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
    return answer.status
