"""Lets calls in by their tokens, and no caller hold more streams than its share."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import grpc

from services.common.errors import AssayError, Code
from services.common.security.roles import (
    AUTHORIZATION_KEY,
    Caller,
    Tokens,
    TokensInvalidError,
    read_tokens,
    role_needed,
)
from services.common.security.watched_files import WatchedFiles
from services.common.status import aborted
from services.common.telemetry import Continuation, Handler, rewrapped

logger = logging.getLogger(__name__)

caller_name: ContextVar[str] = ContextVar("caller_name", default="")
"""Whose token the call being served came with; empty where no tokens are asked for."""

_SCHEME: Final = "bearer "
_HEALTH: Final = "/grpc.health."


class KnownTokens:
    """The tokens of a file, read again when it is replaced."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            OSError: it cannot be read.
            TokensInvalidError: it cannot be used.
        """
        self._watched = WatchedFiles([path])
        self._tokens = read_tokens(self._text())

    def now(self) -> Tokens:
        """Return the tokens of now; of a file that cannot be used, those there were before."""
        if self._watched.changed():
            try:
                self._tokens = read_tokens(self._text())
            except TokensInvalidError as error:
                logger.error("tokens.invalid", extra={"problem": str(error)})  # noqa: TRY400
            else:
                logger.info("tokens.replaced")
        return self._tokens

    def _text(self) -> str:
        return self._watched.contents[0].decode(errors="replace")


class AuthorizationInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a token, of a role too small, and streams beyond a caller's share.

    Health is for everyone. A call is refused by its headers alone: its message is not even read.
    """

    def __init__(self, tokens: KnownTokens | None, stream_limit: int, domain: str) -> None:
        self._tokens = tokens
        self._stream_limit = stream_limit
        self._domain = domain
        self._streams: Counter[str] = Counter()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_HEALTH):
            return handler
        try:
            caller = self._admitted(method, handler_call_details)
        except AssayError as error:
            return self._refusing(handler, error)
        return self._counting(handler, caller)

    def _admitted(self, method: str, details: grpc.HandlerCallDetails) -> Caller | None:
        """Return who calls; None where no tokens are asked for."""
        if self._tokens is None:
            return None
        given = dict(details.invocation_metadata or ()).get(AUTHORIZATION_KEY, "")
        text = given.decode(errors="replace") if isinstance(given, bytes) else given
        if not text.lower().startswith(_SCHEME):
            raise AssayError(
                Code.UNAUTHENTICATED,
                "TOKEN_INVALID",
                "this service wants a token: send the metadata `authorization: Bearer TOKEN`",
            )
        caller = self._tokens.now().caller(text[len(_SCHEME) :].strip())
        if caller is None:
            raise AssayError(
                Code.UNAUTHENTICATED, "TOKEN_INVALID", "the token is not one of those known here"
            )
        needed = role_needed(method)
        if caller.role < needed:
            raise AssayError(
                Code.PERMISSION_DENIED,
                "ROLE_INSUFFICIENT",
                f"{method.rpartition('/')[2]} needs the role {needed.word}, "
                f"the token has {caller.role.word}",
                metadata={"role": caller.role.word, "needed_role": needed.word},
            )
        return caller

    def _refusing(self, handler: Handler, error: AssayError) -> Handler:
        async def refuse(_request: Any, context: Any) -> None:
            await aborted(context, error, self._domain)

        async def refuse_stream(request: Any, context: Any) -> AsyncIterator[Any]:
            await refuse(request, context)
            yield

        unread = handler._replace(request_deserializer=None)  # type: ignore[attr-defined]
        return rewrapped(unread, unary=lambda _: refuse, stream=lambda _: refuse_stream)

    def _counting(self, handler: Handler, caller: Caller | None) -> Handler:
        name = caller.name if caller else ""

        def unary(behavior: Any) -> Any:
            async def call(request: Any, context: Any) -> Any:
                caller_name.set(name)
                return await behavior(request, context)

            return call

        def stream(behavior: Any) -> Any:
            async def call(request: Any, context: Any) -> AsyncIterator[Any]:
                caller_name.set(name)
                key = name or _host_of(context.peer())
                if self._streams[key] >= self._stream_limit:
                    await aborted(context, self._too_many(), self._domain)
                self._streams[key] += 1
                try:
                    async for response in behavior(request, context):
                        yield response
                finally:
                    self._streams[key] -= 1
                    if not self._streams[key]:
                        del self._streams[key]

            return call

        return rewrapped(handler, unary=unary, stream=stream)

    def _too_many(self) -> AssayError:
        return AssayError(
            Code.RESOURCE_EXHAUSTED,
            "TOO_MANY_STREAMS",
            f"a caller may have {self._stream_limit:,} streams open at once",
            metadata={"limit": str(self._stream_limit)},
        )


def _host_of(peer: str) -> str:
    """Return the address of "ipv4:1.2.3.4:5" or "ipv6:%5B::1%5D:5" without its port."""
    return peer.rpartition(":")[0]
