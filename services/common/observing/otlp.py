"""Spans by OpenTelemetry's SDK, sent by OTLP over gRPC, joined across processes by W3C context.

The interceptors are our own: those of opentelemetry-instrumentation-grpc turn streams into bare
generators, which have no `cancel`, and wait for answers where a cancellation does not reach the
call any more.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import grpc
from opentelemetry import context as span_context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.common import VERSION
from services.common.settings import SettingsError
from services.common.telemetry import Observer, ServedCall, request_id, study_id

_SEND_SECONDS: Final = 3
"""Longest try to send spans: a collector that is away must not hold up the end of a process."""

_SERVER_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that are the server's failure; others are its answer."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class OtlpTracing:
    """Makes spans and sends them to a collector, in a thread of its own."""

    def __init__(self, service: str, endpoint: str) -> None:
        """Open a channel to a collector.

        Args:
            service: Short name of the service: "data".
            endpoint: `http://host:4317` in plain text, `https://host:4317` with TLS.

        Raises:
            SettingsError: the endpoint is no such URL.
        """
        if not endpoint.startswith(("http://", "https://")):
            raise SettingsError("ASSAY_OTLP_ENDPOINT: say http://host:port or https://host:port")
        resource = Resource.create(
            {
                "service.name": f"assay-{service}",
                "service.version": VERSION,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            }
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_SEND_SECONDS)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("assay", VERSION)

    @property
    def observer(self) -> Observer:
        """Makes a span of every call served."""
        return self._served

    def client_interceptors(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """Return what makes a span of every call made."""
        return [
            _UnaryUnary(self._tracer),
            _UnaryStream(self._tracer),
            _StreamUnary(self._tracer),
        ]

    def span(self, name: str, attributes: dict[str, str | int]) -> AbstractContextManager[object]:
        """Return a span around a block; calls made in it belong to it."""
        return self._tracer.start_as_current_span(name, attributes=attributes)

    def close(self) -> None:
        """Send what is left, and end."""
        self._provider.shutdown()

    def _served(self, call: ServedCall) -> Callable[[str, float], None]:
        above = _PROPAGATOR.extract(call.metadata)
        span = self._tracer.start_span(
            call.method.removeprefix("/"),
            context=above,
            kind=SpanKind.SERVER,
            attributes=_attributes(call.method, call.request_id, call.study_id),
        )
        # Never detached: every call has a context of its own, which ends with it.
        span_context.attach(set_span_in_context(span, above))

        def ended(code: str, _seconds: float) -> None:
            _end(span, code, failed=code in _SERVER_FAULTS)

        return ended


def _attributes(method: str, identity: str, study: str) -> dict[str, str]:
    service, _, name = method.removeprefix("/").rpartition("/")
    told = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    if identity:
        told["assay.request_id"] = identity
    if study:
        told["assay.study_id"] = study
    return told


def _end(span: Span, code: str, *, failed: bool, end_time_ns: int | None = None) -> None:
    span.set_attribute("rpc.grpc.status_code", getattr(grpc.StatusCode, code).value[0])
    if failed:
        span.set_status(Status(StatusCode.ERROR, code))
    span.end(end_time_ns)


class _Spans:
    """A span around every call made: from its sending to its last answer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._ending: set[asyncio.Task[None]] = set()

    async def _call(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        span = self._tracer.start_span(
            method.removeprefix("/"),
            kind=SpanKind.CLIENT,
            attributes=_attributes(method, request_id.get(), study_id.get()),
        )
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(span))
        metadata: Any = grpc.aio.Metadata(*(details.metadata or ()), *carrier.items())
        try:
            call = await continuation(details._replace(metadata=metadata), request)
        except BaseException:
            _end(span, "CANCELLED", failed=True)
            raise
        call.add_done_callback(lambda done: self._done(done, span))
        return call

    def _done(self, call: Any, span: Span) -> None:
        task = asyncio.ensure_future(_end_with(call, span, time.time_ns()))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _end_with(call: Any, span: Span, end_time_ns: int) -> None:
    """End the span of a call that is through: its code can be had by awaiting alone."""
    code = (await call.code()).name
    _end(span, code, failed=code != "OK", end_time_ns=end_time_ns)


class _UnaryUnary(_Spans, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Make a span of a call."""
        return await self._call(continuation, client_call_details, request)


class _UnaryStream(_Spans, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Make a span of a call."""
        return await self._call(continuation, client_call_details, request)


class _StreamUnary(_Spans, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Make a span of a call."""
        return await self._call(continuation, client_call_details, request_iterator)
