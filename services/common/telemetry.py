"""What happened, told in log lines that share a request id across services.

A log line is an event with fields: `rpc.finished method=... code=... duration_ms=...`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc

from services.common.observing.redaction import secrets_in, without
from services.common.settings import ServiceSettings

REQUEST_ID_KEY = "x-request-id"
_LONGEST_REQUEST_ID = 128
STUDY_ID_KEY = "x-study-id"
_STUDY_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
request_id: ContextVar[str] = ContextVar("request_id", default="")
study_id: ContextVar[str] = ContextVar("study_id", default="")
"""The study that work is done for; empty where it is for none."""
deadline_at: ContextVar[float | None] = ContextVar("deadline_at", default=None)
"""Monotonic time at which the call being served ends; None where it has no deadline."""

logger = logging.getLogger(__name__)

_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Formatter(logging.Formatter):
    """One line per event: text for people or JSON for machines, without the secrets given."""

    def __init__(self, service: str, *, as_json: bool, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self._service = service
        self._as_json = as_json
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return without(self._line(record), self._secrets)

    def _line(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}
        if request_id.get():
            fields["request_id"] = request_id.get()
        if study_id.get():
            fields.setdefault("study", study_id.get())
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(line, default=str)
        traceback = line.pop("traceback", "")
        words = [str(line.pop(key)) for key in ("time", "level", "service", "event")]
        words += [f"{key}={value}" for key, value in line.items()]
        return " ".join(words) + (f"\n{traceback}" if traceback else "")


def configure_logging(service: str, settings: ServiceSettings) -> None:
    """Send all log lines of this process to stderr in the wanted form.

    Passwords in URLs of the settings are masked wherever a line has them.
    """
    handler = logging.StreamHandler(sys.stderr)
    secrets = secrets_in(getattr(settings, field.name) for field in dataclasses.fields(settings))
    handler.setFormatter(
        _Formatter(service, as_json=settings.log_format == "json", secrets=secrets)
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)


# Quoted: only the stubs know these as generic.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


@dataclasses.dataclass(frozen=True, slots=True)
class ServedCall:
    """A call at its beginning.

    Attributes:
        method: "/assay.data.v1.DataService/ReadCandles".
        request_id: Given by the caller, or made up.
        study_id: The study it is made for; empty where the caller names none.
        metadata: What came with it.
    """

    method: str
    request_id: str
    study_id: str
    metadata: Mapping[str, Any]


Observer: TypeAlias = Callable[[ServedCall], Callable[[str, float], None]]
"""Hears of a call at its beginning; returns what to tell its code and its seconds at its end."""


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Gives every call a request id and a deadline to pass on, and writes its access line."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = tuple(observers)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or is_infrastructure(method):
            return handler
        metadata = dict(handler_call_details.invocation_metadata or ())
        given = str(metadata.get(REQUEST_ID_KEY) or "")
        # Longer ones would crowd errors out of the headers that carry both.
        identity = given if 0 < len(given) <= _LONGEST_REQUEST_ID else str(uuid.uuid4())
        study = str(metadata.get(STUDY_ID_KEY) or "")
        study = study if _STUDY_ID.fullmatch(study) else ""
        served = ServedCall(method, identity, study, metadata)

        def unary(behavior: Any) -> Any:
            async def call(request: Any, context: Any) -> Any:
                async with _observed(context, served, self._observers):
                    return await behavior(request, context)

            return call

        def stream(behavior: Any) -> Any:
            async def call(request: Any, context: Any) -> AsyncIterator[Any]:
                async with _observed(context, served, self._observers):
                    async for response in behavior(request, context):
                        yield response

            return call

        return rewrapped(handler, unary=unary, stream=stream)


def is_infrastructure(method: str) -> bool:
    """Tell whether a method is health or reflection, which answer in their own way."""
    return method.startswith("/grpc.")


def rewrapped(
    handler: Handler, *, unary: Callable[[Any], Any], stream: Callable[[Any], Any]
) -> Handler:
    """Return the handler with its behavior wrapped: `unary` for one answer, `stream` for many."""
    wrappers = {
        "unary_unary": unary,
        "stream_unary": unary,
        "unary_stream": stream,
        "stream_stream": stream,
    }
    kind = next(name for name in wrappers if getattr(handler, name) is not None)
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    result: Handler = make(
        wrappers[kind](getattr(handler, kind)),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return result


@asynccontextmanager
async def _observed(
    context: grpc.aio.ServicerContext[Any, Any], call: ServedCall, observers: Sequence[Observer]
) -> AsyncIterator[None]:
    request_id.set(call.request_id)
    study_id.set(call.study_id)
    remaining = context.time_remaining()
    deadline_at.set(None if remaining is None else time.monotonic() + remaining)
    context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
    started = time.monotonic()
    endings = [observer(call) for observer in observers]
    cancelled = False
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        # The caller has gone: gRPC never gives such a call a code.
        cancelled = True
        raise
    finally:
        seconds = time.monotonic() - started
        code = "CANCELLED" if cancelled else _code_name(context.code())
        for ended in endings:
            ended(code, seconds)
        told = {"method": call.method, "code": code, "duration_ms": round(seconds * 1000, 1)}
        logger.info("rpc.finished", extra=told)


def _code_name(code: Any) -> str:
    """Name a code as gRPC's server side gives it: a StatusCode, its number, or nothing yet."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    names = {item.value[0]: item.name for item in grpc.StatusCode}
    return names.get(code or 0, "OK")
