"""Channels to other services: balanced over all their addresses, patient, with deadlines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from services.common.observing import tracing
from services.common.security.renewing_channel import RenewingChannel
from services.common.security.roles import AUTHORIZATION_KEY
from services.common.security.transport import ChannelFiles, TransportFiles
from services.common.security.watched_files import WatchedFiles
from services.common.settings import ChannelSettings, SettingsError
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


Options: TypeAlias = Sequence[tuple[str, Any]]
PLAIN = ChannelSettings()


def connect(
    address: str,
    service: str,
    *,
    timeout_seconds: float = 60.0,
    security: ChannelSettings = PLAIN,
) -> grpc.aio.Channel:
    """Open a channel to `service` (its full gRPC name).

    Calls go round robin over all addresses the name resolves to and are retried while UNAVAILABLE;
    lost servers are noticed by keepalive and by resolving the name again. A call without a deadline
    gets `timeout_seconds`; no call outlives the one being served.

    Args:
        address: `host:port`, `dns:///name:port`, or `ipv4:1.2.3.4:1,1.2.3.4:2` for several.
        service: For example "assay.backtest.v1.BacktestService".
        timeout_seconds: Deadline of calls that give none; streams get none of their own.
        security: TLS and token. Files that are replaced count from the next call on.

    Raises:
        SettingsError: a file of `security` cannot be read.
    """
    token = _token_of(security)
    return opened(
        address,
        _options(service),
        security,
        [
            _UnaryUnary(timeout_seconds, token),
            _UnaryStream(None, token),
            _StreamUnary(timeout_seconds, token),
            # The last ones, next to the call: only there do calls tell when they are through.
            *tracing.client_interceptors(),
        ],
    )


def opened(
    address: str,
    options: Options,
    security: ChannelSettings,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """Open a channel in plain text, or with TLS where there is an authority.

    Raises:
        SettingsError: a file of `security` cannot be read.
    """
    files = transport_files(security)
    if files.authority is None:
        return grpc.aio.insecure_channel(address, options, interceptors=[*interceptors])
    names = [("grpc.ssl_target_name_override", files.server_name)] if files.server_name else []

    def opening(credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(
            address, credentials, [*options, *names], interceptors=[*interceptors]
        )

    try:
        return RenewingChannel(ChannelFiles(files), opening)
    except OSError as error:
        raise SettingsError(f"a file of ASSAY_TLS_* cannot be read: {error}") from error


def _options(service: str) -> Options:
    """Return balancing, retries and keepalive of a channel."""
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
    return [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.service_config", json.dumps(config)),
        ("grpc.enable_retries", 1),
        # A silent server is given up after 20 s. It is the second of the timeouts that ends the
        # connection: gRPC has it at a minute, and never looks at a shorter first one.
        ("grpc.keepalive_time_ms", 12_000),
        ("grpc.keepalive_timeout_ms", 8_000),
        ("grpc.http2.ping_timeout_ms", 8_000),
        # Without it a rolling restart loses calls: names are resolved again every 30 s at most.
        ("grpc.dns_min_time_between_resolutions_ms", 500),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # Every channel of a process has its own connections, so that closing one ends only its own.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def _token_of(security: ChannelSettings) -> WatchedFiles | None:
    if security.token_file is None:
        return None
    try:
        return WatchedFiles([Path(security.token_file)])
    except OSError as error:
        raise SettingsError(f"ASSAY_TOKEN_FILE cannot be read: {error}") from error


def transport_files(settings: ChannelSettings) -> TransportFiles:
    """Return the files of TLS that the settings name."""

    def path(text: str | None) -> Path | None:
        return Path(text) if text else None

    return TransportFiles(
        authority=path(settings.tls_ca_file),
        certificate=path(settings.tls_certificate_file),
        key=path(settings.tls_key_file),
        server_name=settings.tls_server_name,
    )


class _PassOn:
    """Adds the token and the ids of request and study, and bounds the deadline of calls."""

    def __init__(self, timeout_seconds: float | None, token: WatchedFiles | None) -> None:
        self._timeout_seconds = timeout_seconds
        self._token = token

    def _details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata: Any = grpc.aio.Metadata(*(details.metadata or ()))
        if request_id.get() and REQUEST_ID_KEY not in metadata:
            metadata.add(REQUEST_ID_KEY, request_id.get())
        if study_id.get():
            metadata.add(STUDY_ID_KEY, study_id.get())
        if self._token is not None:
            self._token.changed()
            text = self._token.contents[0].decode(errors="replace").strip()
            metadata.add(AUTHORIZATION_KEY, f"Bearer {text}")
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
