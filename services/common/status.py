"""Errors on the wire: the only place that builds or reads google.rpc.Status."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common.errors import AssayError, Code, Violation
from services.common.telemetry import (
    REQUEST_ID_KEY,
    Continuation,
    Handler,
    is_infrastructure,
    request_id,
    rewrapped,
)

logger = logging.getLogger(__name__)

_NO_BLIND_RETRY = ("grpc-retry-pushback-ms", "-1")
"""Tells channels that this refusal is meant; RetryInfo tells the caller when to come back."""
_LARGEST_BYTES = 7_000
"""gRPC clients drop answers whose headers pass 8 KiB, and with them every word of the error."""
_LONGEST_TEXT = 200
_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def to_status(error: AssayError, domain: str) -> status_pb2.Status:
    """Return the error as google.rpc.Status with ErrorInfo, BadRequest and RetryInfo.

    An error too large for the headers it travels in is shortened: long texts are cut, and a last
    violation says how many more there were.
    """
    whole = _status(error, domain, error.violations)
    if _wire_bytes(whole) <= _LARGEST_BYTES:
        return whole
    short = AssayError(
        error.code,
        error.reason,
        _cut(error.message),
        metadata={key: _cut(value) for key, value in error.metadata.items()},
        retry_after_ms=error.retry_after_ms,
        domain=error.domain,
    )
    told = [Violation(_cut(item.field), _cut(item.description)) for item in error.violations]
    # More than these can never fit, however short they are.
    kept = told[:100]
    while True:
        more = len(told) - len(kept)
        rest = [Violation("", f"and {more:,} more")] if more else []
        status = _status(short, domain, [*kept, *rest])
        if _wire_bytes(status) <= _LARGEST_BYTES or not kept:
            return status
        kept.pop()


def _status(error: AssayError, domain: str, violations: Sequence[Violation]) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=error.domain or domain, metadata=error.metadata
    )
    details = [_packed(info)]
    if violations:
        bad_request = error_details_pb2.BadRequest()
        for item in violations:
            bad_request.field_violations.add(field=item.field, description=item.description)
        details.append(_packed(bad_request))
    if error.retry_after_ms is not None:
        delay = Duration()
        delay.FromMilliseconds(error.retry_after_ms)
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=error.code.value, message=error.message, details=details)


def _wire_bytes(status: status_pb2.Status) -> int:
    """Return what a status takes in headers: its message percent-encoded, the whole in base64."""
    size: int = status.ByteSize()
    return len(quote(status.message, safe=_SAFE)) + -(-size // 3) * 4


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def error_of(error: grpc.RpcError) -> AssayError:
    """Return what a service meant by a failed call.

    A status without ErrorInfo (a lost connection, a passed deadline) has an empty reason and no
    domain; codes outside Assay's own become INTERNAL, apart from DEADLINE_EXCEEDED and CANCELLED,
    which become UNAVAILABLE.
    """
    code = error.code()
    message = error.details() or code.name
    status = _status_of(error)
    parts = _read_details(status) if status is not None else {}
    return AssayError(_known_code(code), parts.pop("reason", ""), message, **parts)


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _known_code(code: grpc.StatusCode) -> Code:
    if code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}:
        return Code.UNAVAILABLE
    number = code.value[0]
    return Code(number) if number in {item.value for item in Code} else Code.INTERNAL


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    return None


def _read_details(status: status_pb2.Status) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            parts |= {"reason": info.reason, "domain": info.domain, "metadata": dict(info.metadata)}
        elif detail.Unpack(bad_request):
            parts["violations"] = [
                Violation(item.field, item.description) for item in bad_request.field_violations
            ]
        elif detail.Unpack(retry):
            parts["retry_after_ms"] = retry.retry_delay.ToMilliseconds()
    return parts


async def aborted(
    context: grpc.aio.ServicerContext[Any, Any], error: AssayError, domain: str
) -> None:
    """End the call being served with an error; `domain` is of reasons that have none of their own.

    Raises:
        grpc.aio.AbortError: always; gRPC takes it as the end of the call.
    """
    status = rpc_status.to_status(to_status(error, domain))
    # Aborting replaces the trailing metadata, and it is failures that are looked up in logs.
    identity = (REQUEST_ID_KEY, request_id.get())
    metadata = (*(status.trailing_metadata or ()), _NO_BLIND_RETRY, identity)
    await context.abort(status.code, status.details, metadata)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns exceptions of handlers into statuses, for unary answers and streams alike.

    An AssayError becomes its own status. Anything else is a defect: the caller learns only the
    request id, the log gets the traceback.
    """

    def __init__(self, domain: str) -> None:
        self._domain = domain

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or is_infrastructure(method):
            return handler

        def unary(behavior: Any) -> Any:
            async def call(request: Any, context: Any) -> Any:
                try:
                    return await behavior(request, context)
                except Exception as error:  # noqa: BLE001 - the one place where every error ends
                    await self._abort(error, context, method)

            return call

        def stream(behavior: Any) -> Any:
            async def call(request: Any, context: Any) -> AsyncIterator[Any]:
                try:
                    # Errors during the iteration must end here too, so the wrapper iterates itself.
                    async for response in behavior(request, context):
                        yield response
                except Exception as error:  # noqa: BLE001 - the one place where every error ends
                    await self._abort(error, context, method)

            return call

        return rewrapped(handler, unary=unary, stream=stream)

    async def _abort(
        self, error: Exception, context: grpc.aio.ServicerContext[Any, Any], method: str
    ) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if not isinstance(error, AssayError):
            logger.error("rpc.defect", extra={"method": method}, exc_info=error)
            error = AssayError(
                Code.INTERNAL,
                "INTERNAL",
                f"internal error; the service's log has it under request id {request_id.get()}",
                metadata={"request_id": request_id.get()},
            )
        await aborted(context, error, self._domain)
