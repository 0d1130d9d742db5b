"""A channel that opens itself anew when its certificates have been replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import grpc

from services.common.security.transport import ChannelFiles

_GRACE_SECONDS: Final = 600.0
"""Left to calls on the old channel."""

Opening = Callable[[grpc.ChannelCredentials], grpc.aio.Channel]


class RenewingChannel(grpc.aio.Channel):
    """Behaves as the channel it opens, which is another one once the files have changed.

    Calls begun before end on the connections they have.
    """

    def __init__(self, files: ChannelFiles, opening: Opening) -> None:
        self._files = files
        self._opening = opening
        self._channel = opening(files.credentials())
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> grpc.aio.Channel:
        """Return the channel for the files of now."""
        if self._files.changed():
            old, self._channel = self._channel, self._opening(self._files.credentials())
            task = asyncio.ensure_future(old.close(_GRACE_SECONDS))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return self._channel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close it and those before it."""
        for task in self._closing:
            task.cancel()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the channel of now."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the channel of now has another state."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel of now is ready."""
        await self.current().channel_ready()

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        """Return what calls the method on the channel of the moment."""
        return _Method(self, "unary_unary", arguments, options)

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        """Return what calls the method on the channel of the moment."""
        return _Method(self, "unary_stream", arguments, options)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """Return what calls the method on the channel of the moment."""
        return _Method(self, "stream_unary", arguments, options)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """Return what calls the method on the channel of the moment."""
        return _Method(self, "stream_stream", arguments, options)


class _Method:
    """A method of a stub, made again for each new channel."""

    def __init__(
        self,
        channel: RenewingChannel,
        kind: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        self._channel = channel
        self._made: Callable[[grpc.aio.Channel], Any] = lambda current: getattr(current, kind)(
            *arguments, **options
        )
        self._on = channel.current()
        self._call = self._made(self._on)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        current = self._channel.current()
        if current is not self._on:
            self._on, self._call = current, self._made(current)
        return self._call(*arguments, **options)
