"""Traces of this process, if it makes any.

Like its log, a process has one: where no collector is named nothing of it is loaded, and calls run
as if this module were not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Protocol

import grpc

from services.common.telemetry import Observer


class Tracing(Protocol):
    """A way of making spans."""

    @property
    def observer(self) -> Observer:
        """Makes a span of every call served."""

    def client_interceptors(self) -> Sequence[grpc.aio.ClientInterceptor]:
        """Return what makes a span of every call made; the last interceptors of a channel."""

    def span(self, name: str, attributes: dict[str, str | int]) -> AbstractContextManager[object]:
        """Return a span around a block; calls made in it belong to it."""

    def close(self) -> None:
        """Send what is left, and end; may block for seconds."""


_installed: list[Tracing] = []


@asynccontextmanager
async def traced(service: str, endpoint: str | None) -> AsyncIterator[None]:
    """Send the spans of this process to a collector while the block runs; None: make none.

    Channels and servers opened before do not take part.

    Raises:
        SettingsError: the endpoint is no URL.
    """
    if endpoint is None:
        yield
        return
    # Loaded where it is wanted alone: it takes as long as the rest of a service.
    from services.common.observing.otlp import OtlpTracing  # noqa: PLC0415

    tracing = OtlpTracing(service, endpoint)
    _installed.append(tracing)
    try:
        yield
    finally:
        _installed.remove(tracing)
        await asyncio.to_thread(tracing.close)


def is_tracing() -> bool:
    """Tell whether spans are wanted."""
    return bool(_installed)


def observers() -> list[Observer]:
    """Return who makes spans of the calls that a server serves."""
    return [tracing.observer for tracing in _installed]


def client_interceptors() -> list[grpc.aio.ClientInterceptor]:
    """Return what makes spans of the calls of a channel: its last interceptors."""
    return [one for tracing in _installed for one in tracing.client_interceptors()]


def span(name: str, attributes: dict[str, str | int]) -> AbstractContextManager[object]:
    """Return a span around a block, or nothing where none are wanted."""
    return _installed[-1].span(name, attributes) if _installed else nullcontext()
