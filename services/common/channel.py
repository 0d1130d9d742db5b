"""Channels to other services: balanced over all their addresses, patient, with deadlines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import grpc

from services.common.observing import tracing
from services.common.telemetry import (
    REQUEST_ID_KEY,
    STUDY_ID_KEY,
    deadline_at,
    request_id,
    study_id,
)

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Metrics of 10,000 sets take 5 MiB, more than gRPC takes by default."""
_DEADLINE_MARGIN_SECONDS = 0.05
"""Left to the calling service to answer its own caller when a call below runs out of time."""


def connect(address: str, service: str, *, timeout_seconds: float = 60.0) -> grpc.aio.Channel:
    """Open a channel to `service` (its full gRPC name).

    Calls go round robin over all addresses the name resolves to and are retried while UNAVAILABLE;
    lost servers are noticed by keepalive and by resolving the name again. A call without a deadline
    gets `timeout_seconds`; no call outlives the one being served.

    Args:
        address: `host:port`, `dns:///name:port`, or `ipv4:1.2.3.4:1,1.2.3.4:2` for several.
        service: For example "assay.backtest.v1.BacktestService".
        timeout_seconds: Deadline of calls that give none; streams get none of their own.
    """
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": service}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }
    options = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.service_config", json.dumps(config)),
        ("grpc.enable_retries", 1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Without it a rolling restart loses calls: names are resolved again every 30 s at most.
        ("grpc.dns_min_time_between_resolutions_ms", 500),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # Every channel of a process has its own connections, so that closing one ends only its own.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.aio.insecure_channel(
        address, options=options, interceptors=_interceptors(timeout_seconds)
    )


def _interceptors(timeout_seconds: float) -> list[grpc.aio.ClientInterceptor]:
    return [
        _UnaryUnary(timeout_seconds),
        _UnaryStream(None),
        _StreamUnary(timeout_seconds),
        # The last ones, next to the call: only there do calls tell when they are through.
        *tracing.client_interceptors(),
    ]


class _PassOn:
    """Adds the ids of request and study, and bounds the deadline of outgoing calls."""

    def __init__(self, timeout_seconds: float | None) -> None:
        self._timeout_seconds = timeout_seconds

    def _details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata: Any = grpc.aio.Metadata(*(details.metadata or ()))
        if request_id.get() and REQUEST_ID_KEY not in metadata:
            metadata.add(REQUEST_ID_KEY, request_id.get())
        if study_id.get():
            metadata.add(STUDY_ID_KEY, study_id.get())
        limits = [self._timeout_seconds if details.timeout is None else details.timeout]
        served_until = deadline_at.get()
        if served_until is not None:
            remaining = served_until - time.monotonic() - _DEADLINE_MARGIN_SECONDS
            limits.append(max(remaining, 0.001))
        known = [limit for limit in limits if limit is not None]
        return grpc.aio.ClientCallDetails(
            method=details.method,
            timeout=min(known) if known else None,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )


class _UnaryUnary(_PassOn, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Pass a call on."""
        return await continuation(self._details(client_call_details), request)


class _UnaryStream(_PassOn, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Pass a call on."""
        return await continuation(self._details(client_call_details), request)


class _StreamUnary(_PassOn, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Pass a call on."""
        return await continuation(self._details(client_call_details), request_iterator)
