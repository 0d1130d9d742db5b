"""What may go wrong between pybit and the exchange, sorted by what helps.

pybit 5.17 raises FailedRequestError for a HTTP status other than 200 and for a body that is no
JSON (it calls that 409), InvalidRequestError for a retCode other than 0, requests' errors (all of
them OSErrors) for the network, and bare TypeErrors, AttributeErrors or KeyErrors for JSON of an
unexpected shape.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pybit.exceptions import FailedRequestError, InvalidRequestError

from services.common.errors import AssayError, unavailable
from services.data.adapters.bybit_parsing import ReplyMalformedError

CALL_ERRORS: Final = (FailedRequestError, InvalidRequestError, ReplyMalformedError, OSError)
"""Everything one call may raise when the exchange or the way to it is at fault."""

SHAPE_ERRORS: Final = (AttributeError, LookupError, TypeError)
"""What pybit lets out when it meets JSON of another shape."""

BAN_MS: Final = 600_000
"""The exchange bans an address for at least ten minutes."""

BUSY_MS: Final = 2_000
_BUSY_RANGE_MS: Final = (250, 10_000)
_LASTING_MS: Final = 60_000
_RESET_HEADER: Final = "X-Bapi-Limit-Reset-Timestamp"

_PARAMETER_CODES: Final = frozenset({10001, 10029})
_BUSY_CODES: Final = frozenset({429, 10006, 10018})
_PASSING_CODES: Final = frozenset({10000, 10002, 10016})
_PASSING_STATUSES: Final = frozenset({408, 409})


class Kind(enum.Enum):
    """What helps against a fault."""

    PASSING = "passing"
    """Trying again soon."""

    BUSY = "busy"
    """Trying again after the pause the exchange asked for."""

    BANNED = "banned"
    """Leaving the exchange alone for long."""

    REFUSED = "refused"
    """Nothing: the exchange does not know what was asked for."""

    LASTING = "lasting"
    """Nothing soon."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed call.

    Attributes:
        kind: What helps.
        message: What happened, for people.
        wait_ms: How long the exchange is to be left alone; 0 where it did not say.
        answered: Whether the exchange answered at all.
    """

    kind: Kind
    message: str
    wait_ms: int = 0
    answered: bool = True

    def as_error(self, attempts: int = 1) -> AssayError:
        """Return the error the caller of the service gets after so many attempts."""
        limited = self.kind in {Kind.BUSY, Kind.BANNED}
        reason = "SOURCE_RATE_LIMITED" if limited else "SOURCE_UNAVAILABLE"
        wait_ms = self.wait_ms or (_LASTING_MS if self.kind is Kind.LASTING else 5_000)
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        return unavailable(reason, f"bybit: {self.message}{tried}", wait_ms)


def fault_of(error: BaseException, now_ms: int) -> Fault:
    """Sort an error of `CALL_ERRORS`; `now_ms` turns the exchange's reset time into a wait."""
    if isinstance(error, InvalidRequestError):
        return _of_return_code(error, now_ms)
    if isinstance(error, FailedRequestError):
        return _of_status(error)
    if isinstance(error, OSError):
        return Fault(Kind.PASSING, _unreachable(error), answered=False)
    return Fault(Kind.PASSING, f"the answer cannot be read: {error}")


def _of_return_code(error: InvalidRequestError, now_ms: int) -> Fault:
    code = error.status_code
    message = f"retCode {code}: {error.message}"
    if code in _PARAMETER_CODES:
        return Fault(Kind.REFUSED, message)
    if code in _BUSY_CODES:
        return Fault(Kind.BUSY, message, _reset_wait_ms(error.resp_headers, now_ms))
    return Fault(Kind.PASSING if code in _PASSING_CODES else Kind.LASTING, message)


def _of_status(error: FailedRequestError) -> Fault:
    status = error.status_code
    if status == 403:
        text = "HTTP 403: too many requests from this address, or a region that is not served"
        return Fault(Kind.BANNED, text, BAN_MS)
    if status == 429:
        return Fault(Kind.BUSY, "HTTP 429", BUSY_MS)
    if status == 409 and error.resp_headers is None:
        return Fault(Kind.PASSING, "the answer is no JSON")
    passing = status >= 500 or status in _PASSING_STATUSES
    return Fault(Kind.PASSING if passing else Kind.LASTING, f"HTTP {status}")


def _reset_wait_ms(headers: Mapping[str, str] | None, now_ms: int) -> int:
    """Return the wait until the limit resets; the header may be absent, in the past, or garbage."""
    shortest, longest = _BUSY_RANGE_MS
    try:
        reset_ms = int((headers or {})[_RESET_HEADER])
    except (KeyError, ValueError):
        return BUSY_MS
    return min(max(reset_ms - now_ms, shortest), longest)


def _unreachable(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"cannot be reached or broke off: {type(error).__name__}"
