"""Metrics of a process in Prometheus's text form, over HTTP.

What a label may say is a closed list (methods, codes, states, operations): never an id or a text
of a caller, so that the number of series is known when the service is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import start_http_server

from services.common import VERSION
from services.common.settings import SettingsError
from services.common.telemetry import Observer, ServedCall

logger = logging.getLogger(__name__)

RPC_BUCKETS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 120.0)
"""Seconds; a watch of a study lasts as long as the study."""

LAG_INTERVAL_SECONDS: Final = 1.0


class RpcMetrics:
    """Counts and times the calls a process serves; an `Observer`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "assay_rpc_duration_seconds",
            "Calls served, from their arrival to their last answer.",
            ("method", "code"),
            registry=registry,
            buckets=RPC_BUCKETS,
        )
        self._in_flight = Gauge(
            "assay_rpc_in_flight", "Calls being served.", ("method",), registry=registry
        )

    def __call__(self, call: ServedCall) -> Callable[[str, float], None]:
        """Note that a call has begun; returns what to call at its end."""
        method = call.method.removeprefix("/")
        in_flight = self._in_flight.labels(method)
        in_flight.inc()

        def ended(code: str, seconds: float) -> None:
            in_flight.dec()
            self._seconds.labels(method, code).observe(seconds)

        return ended


@asynccontextmanager
async def measured(
    service: str, registry: CollectorRegistry, address: str | None
) -> AsyncIterator[list[Observer]]:
    """Serve a registry at an address, None: nowhere; yields who observes the calls.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    if address is None:
        yield []
        return
    host, port = _host_and_port(address)
    # A second series beside every counter, which nothing here asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    ProcessCollector(registry=registry)
    Gauge("assay_build_info", "Always 1.", ("service", "version"), registry=registry).labels(
        service, VERSION
    ).set(1)
    lag = Gauge(
        "assay_event_loop_lag_seconds",
        f"How late the event loop was in its last turn of {LAG_INTERVAL_SECONDS:g} s.",
        registry=registry,
    )
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise SettingsError(f"ASSAY_METRICS_ADDRESS={address!r}: {error}") from error
    logger.info("metrics.listening", extra={"address": address, "port": server.server_port})
    watching = asyncio.ensure_future(_watch_loop(lag))
    try:
        yield [RpcMetrics(registry)]
    finally:
        watching.cancel()
        await asyncio.to_thread(server.shutdown)
        server.server_close()


async def _watch_loop(lag: Gauge) -> None:
    clock = asyncio.get_running_loop()
    while True:
        due = clock.time() + LAG_INTERVAL_SECONDS
        await asyncio.sleep(LAG_INTERVAL_SECONDS)
        lag.set(max(clock.time() - due, 0.0))


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"ASSAY_METRICS_ADDRESS={address!r}: say host:port")
    return host.strip("[]"), int(port)
