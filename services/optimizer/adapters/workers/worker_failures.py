"""What a failed call to a worker means: repeat it, suspect its sets, or give the generation up."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import grpc

from services.common.errors import AssayError
from services.common.status import error_of

DOMAIN = "backtest.assay"

_BREAKING = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DATA_LOSS,
    }
)


class FailureKind(enum.Enum):
    """Why a call is to be repeated."""

    BUSY = enum.auto()
    """A worker, or the data service behind it, asks for patience."""

    LOST = enum.auto()
    """Nobody answered: no worker there, or one that died over it."""

    LATE = enum.auto()
    """No answer within the deadline."""

    BROKEN = enum.auto()
    """The call failed in a worker."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that is to be repeated.

    Attributes:
        kind: Why.
        message: The same for people.
        retry_after_seconds: Least time to wait first, as the worker wants it; 0 where it says none.
    """

    kind: FailureKind
    message: str
    retry_after_seconds: float


def judged(error: grpc.aio.AioRpcError) -> Failure:
    """Return why a call is to be repeated.

    Raises:
        AssayError: repeating is pointless; the worker's words, with the domain of who says so.
    """
    told = error_of(error)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        kind = FailureKind.BUSY if told.reason else FailureKind.LOST
    elif error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        kind = FailureKind.LATE
    elif error.code() in _BREAKING:
        kind = FailureKind.BROKEN
    else:
        raise AssayError(
            told.code,
            told.reason,
            told.message,
            metadata=told.metadata,
            violations=told.violations,
            domain=told.domain or DOMAIN,
        ) from error
    message = f"{told.reason or error.code().name}: {told.message}"
    return Failure(kind, message, (told.retry_after_ms or 0) / 1000.0)
