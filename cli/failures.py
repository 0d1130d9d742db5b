"""What can go wrong in a command, and how a person or a program is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import typer

from services.common.errors import AssayError, Violation
from services.common.settings import SettingsError

EXIT_REFUSED = 1
EXIT_USAGE = 2


class BadUsageError(Exception):
    """The caller asked wrongly: nothing was sent. Exit status 2.

    Attributes:
        problems: Everything that is wrong, one line each.
    """

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


@dataclass(slots=True)
class RefusedError(Exception):
    """A service said no, or could not be reached. Exit status 1.

    Attributes:
        message: What happened, for people.
        code: Name of the gRPC status code; empty where no call was made.
        reason: The contract's reason; empty where the service gave none.
        domain: Whose reason it is.
        violations: Every wrong field.
        metadata: The reason's particulars.
        retry_after_ms: When to try again; None where the service does not say.
        request_id: What to look for in the services' logs; empty where no call was made.
    """

    message: str
    code: str = ""
    reason: str = ""
    domain: str = ""
    violations: tuple[Violation, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_ms: int | None = None
    request_id: str = ""

    @staticmethod
    def of(error: AssayError, code: str, request_id: str) -> RefusedError:
        """Return the refusal that a service's error means."""
        return RefusedError(
            error.message,
            code,
            error.reason,
            error.domain or "",
            error.violations,
            error.metadata,
            error.retry_after_ms,
            request_id,
        )

    def block(self) -> str:
        """Return everything in one readable block, every violation on its own line."""
        told = "; ".join(f"{item.field}: {item.description}" for item in self.violations)
        # Services tell the violations in the message too; here each has its own line.
        head = self.message.removesuffix(told).rstrip(": ") if told else self.message
        count = len(self.violations)
        things = "thing is" if count == 1 else "things are"
        lines = [f"error: {head or f'{count} {things} wrong with the request'}"]
        lines += [f"  - {item.field}: {item.description}" for item in self.violations]
        if self.reason:
            lines.append(f"  reason: {self.reason} ({self.code}, {self.domain})")
        lines += [f"  {key}: {value}" for key, value in sorted(self.metadata.items()) if value]
        if self.retry_after_ms is not None:
            lines.append(f"  try again in: {self.retry_after_ms / 1000:g} s")
        if self.request_id and self.metadata.get("request_id") != self.request_id:
            lines.append(f"  request_id: {self.request_id}")
        return "\n".join(lines)

    def as_json(self) -> str:
        """Return everything as one line of JSON."""
        content = {
            "code": self.code,
            "reason": self.reason,
            "domain": self.domain,
            "message": self.message,
            "violations": [
                {"field": item.field, "description": item.description} for item in self.violations
            ],
            "metadata": self.metadata,
            "retry_after_ms": self.retry_after_ms,
            "request_id": self.request_id,
        }
        return json.dumps({"error": content})


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Tell every expected failure on stderr and leave with its exit status."""
    try:
        yield
    except RefusedError as error:
        _say(error.as_json() if as_json else error.block())
        raise typer.Exit(EXIT_REFUSED) from None
    except (BadUsageError, SettingsError) as error:
        problems = error.problems if isinstance(error, BadUsageError) else ()
        _say(_usage_json(str(error), problems) if as_json else _usage_block(str(error), problems))
        raise typer.Exit(EXIT_USAGE) from None


def _usage_block(message: str, problems: tuple[str, ...]) -> str:
    return "\n".join([f"error: {message}", *(f"  - {problem}" for problem in problems)])


def _usage_json(message: str, problems: tuple[str, ...]) -> str:
    return json.dumps({"error": {"code": "USAGE", "message": message, "problems": list(problems)}})


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
