"""Errors the services mean to tell their callers: a code, a stable reason, particulars. Pure.

`status` turns them into google.rpc.Status. Any other exception is a defect and tells nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches


class Code(enum.Enum):
    """The gRPC status codes Assay uses, by their numbers."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the field's path in the contract, and what is wrong."""

    field: str
    description: str


class AssayError(Exception):
    """An error meant for the caller.

    Attributes:
        code: The gRPC status code.
        reason: Name of a value of the package's ErrorReason without its prefix.
        message: What happened, for people.
        metadata: The particulars the reason's comment promises.
        violations: Every wrong field, for INVALID_ARGUMENT.
        retry_after_ms: When to try again, for UNAVAILABLE.
        domain: Whose reason it is ("data.assay"); None means the answering service's own.
    """

    def __init__(
        self,
        code: Code,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[Violation] = (),
        retry_after_ms: int | None = None,
        domain: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_ms = retry_after_ms
        self.domain = domain


def fields_invalid(violations: Iterable[Violation], reason: str = "FIELD_INVALID") -> AssayError:
    """Return INVALID_ARGUMENT with every violation, also told in the message."""
    found = tuple(violations)
    message = "; ".join(f"{item.field}: {item.description}" for item in found)
    return AssayError(Code.INVALID_ARGUMENT, reason, message, violations=found)


def refuse(violations: Iterable[Violation]) -> None:
    """Raise `fields_invalid` when there is at least one violation."""
    found = tuple(violations)
    if found:
        raise fields_invalid(found)


def unknown(kind: str, name: str, known: Iterable[str], reason: str) -> AssayError:
    """Return NOT_FOUND for a `kind` ("dataset") called `name`, with the nearest known names."""
    nearest = ", ".join(get_close_matches(name, list(known), n=3))
    hint = f"; did you mean {nearest}?" if nearest else ""
    return AssayError(
        Code.NOT_FOUND,
        reason,
        f"no {kind} is called {name!r}{hint}",
        metadata={kind: name, "nearest": nearest},
    )


def unavailable(reason: str, message: str, retry_after_ms: int = 1_000) -> AssayError:
    """Return UNAVAILABLE with the time to wait."""
    return AssayError(Code.UNAVAILABLE, reason, message, retry_after_ms=retry_after_ms)
