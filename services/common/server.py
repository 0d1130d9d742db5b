"""A gRPC process: health, reflection, warm-up before SERVING, and a drain on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from services.common.observing import tracing
from services.common.observing.metrics import measured
from services.common.security.listening import Listening
from services.common.settings import ServiceSettings
from services.common.status import ErrorInterceptor
from services.common.telemetry import Observer, RequestInterceptor, configure_logging

logger = logging.getLogger(__name__)

LIVENESS = "liveness"
"""Health name that is SERVING from the first moment: the event loop answers."""

_SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps the event loop waiting, each time the loop has waited for
the network: a fifth of what is usual, since one answer takes several such turns."""

_STATUSES = health_pb2.HealthCheckResponse
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPTIONS = [
    # Two processes on one port would share its connections by chance.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    # Clients ping every 12 s; the default answer to that is GOAWAY.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Connections end now and then, so that clients find workers that came later.
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 600_000),
    # Peers that have gone without a word, and those that never say what they came for.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_concurrent_streams", 4_096),
]


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Application:
    """What a service brings to its process.

    Attributes:
        name: Short name for log lines: "data".
        service: Full gRPC name, for health and reflection.
        domain: Domain of its error reasons: "data.assay".
        register: Adds the servicer to a server.
        warm_up: Runs before the service says SERVING.
        close: Runs after the last call has ended.
        drain: Runs when the end begins, before calls in hand are waited for; ends calls that would
            not end by themselves.
        registry: What it measures of itself.
        observers: Who hears of the calls it serves.
    """

    name: str
    service: str
    domain: str
    register: Callable[[grpc.aio.Server], None]
    warm_up: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    drain: Callable[[], None] = _nothing
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    observers: tuple[Observer, ...] = ()


async def serve(application: Application, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Raises:
        RuntimeError: the address cannot be listened on.
        SettingsError: a file of certificates or tokens, or the address of metrics, cannot be used.
    """
    configure_logging(application.name, settings)
    sys.setswitchinterval(_SWITCH_SECONDS)
    listening = Listening.of(settings, application.domain)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with (
        measured(application.name, application.registry, settings.metrics_address) as measuring,
        _started(
            replace(
                application,
                warm_up=_settling(application.warm_up),
                observers=(*tracing.observers(), *measuring),
            ),
            listening,
            settings.drain_seconds,
            stopping,
        ),
    ):
        await stopping.wait()
        logger.info("service.draining")
    logger.info("service.stopped")


def _settling(warm_up: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Return a warm-up after which what is there stays out of all collections to come.

    Looking through modules and kernels that never go away takes a tenth of a second each time, in
    which no thread of the process does anything else.
    """

    async def settled() -> None:
        await warm_up()
        gc.collect()
        gc.freeze()

    return settled


@asynccontextmanager
async def running(
    application: Application, listen: str = "127.0.0.1:0", settings: ServiceSettings | None = None
) -> AsyncIterator[int]:
    """Run the same server inside this process; yields its port. For tests and embedding."""
    listening = Listening.of(settings or ServiceSettings(listen), application.domain)
    async with _started(application, listening, 1.0, asyncio.Event()) as port:
        yield port


@asynccontextmanager
async def _started(
    application: Application, listening: Listening, drain_seconds: float, stopping: asyncio.Event
) -> AsyncIterator[int]:
    server = grpc.aio.server(
        interceptors=[
            RequestInterceptor(application.observers),
            ErrorInterceptor(application.domain),
            listening.authorization,
        ],
        options=_OPTIONS,
    )
    application.register(server)
    health_servicer = await _health_of(application)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        (application.service, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    port = listening.add_port(server)
    health_only = listening.health_server(health_servicer)
    await server.start()
    if health_only is not None:
        await health_only.start()
    logger.info(
        "service.listening",
        extra={"address": listening.address, "port": port, "security": listening.description},
    )
    try:
        await _unless(stopping, application.warm_up())
        if not stopping.is_set():
            for name in ("", application.service):
                await health_servicer.set(name, _STATUSES.SERVING)
            logger.info("service.serving", extra={"port": port})
        yield port
    finally:
        await health_servicer.enter_graceful_shutdown()
        application.drain()
        await server.stop(drain_seconds)
        if health_only is not None:
            await health_only.stop(None)
        await application.close()


async def _health_of(application: Application) -> health.aio.HealthServicer:
    """Return the health of a service that lives and does not serve yet."""
    servicer = health.aio.HealthServicer()
    for name in ("", application.service):
        await servicer.set(name, _STATUSES.NOT_SERVING)
    await servicer.set(LIVENESS, _STATUSES.SERVING)
    return servicer


async def _unless(stopping: asyncio.Event, work: Awaitable[None]) -> None:
    """Await `work`, but no longer than until `stopping` is set."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    else:
        task.cancel()
