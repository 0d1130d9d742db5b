"""A collector of traces for tests: the real OTLP contract over gRPC, kept in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class ReceivedSpan:
    """A span, with the service it is of."""

    service: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    attributes: dict[str, str | int]


Traces = dict[bytes, list[ReceivedSpan]]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps all spans it is sent."""

    def __init__(self) -> None:
        self._spans: list[ReceivedSpan] = []
        self._news = threading.Condition()
        self.port = 0

    @property
    def endpoint(self) -> str:
        """Where it listens, as the setting has it."""
        return f"http://127.0.0.1:{self.port}"

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        """Keep spans."""
        with self._news:
            self._spans += [
                _received(span, scope.resource)
                for scope in request.resource_spans
                for inner in scope.scope_spans
                for span in inner.spans
            ]
            self._news.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait_for_trace(
        self, wanted: Callable[[list[ReceivedSpan]], bool], seconds: float = 60.0
    ) -> list[ReceivedSpan]:
        """Return the spans of the first trace that is as wanted, once all of it has come."""
        with self._news:
            found = self._news.wait_for(lambda: self._first(wanted), seconds)
            assert found, sorted({(span.service, span.name) for span in self._spans})
            return found

    def _first(self, wanted: Callable[[list[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        traces: Traces = defaultdict(list)
        for span in self._spans:
            traces[span.trace_id].append(span)
        return next((spans for spans in traces.values() if wanted(spans)), [])


def _received(span: Any, resource: Any) -> ReceivedSpan:
    service = next(
        item.value.string_value for item in resource.attributes if item.key == "service.name"
    )
    return ReceivedSpan(
        service,
        span.name,
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        {
            item.key: getattr(item.value, str(item.value.WhichOneof("value")))
            for item in span.attributes
        },
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    register: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    register(collector, server)
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()
