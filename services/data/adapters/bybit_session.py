"""One call to Bybit and what to do when it fails: turns, worker threads, retries.

pybit's own retries are switched off: they sleep in the thread, miss half of the passing faults,
and let a bare ValueError escape when the exchange's reset time lies in the past.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pybit.unified_trading import HTTP

from services.data.adapters.bybit_faults import CALL_ERRORS, SHAPE_ERRORS, Fault, Kind, fault_of
from services.data.adapters.bybit_parsing import Reply, ReplyMalformedError, reply_of
from services.data.adapters.rate_limit import Bucket

T = TypeVar("T")

_NO_CODE: Final = -1
"""A retCode that never comes: pybit takes an empty set of codes to retry for its default set."""

_MOST_REQUESTS: Final = 16
"""At once; more would only wait for their turns at the exchange."""

_ANSWERED: Final = "answered"
OUTCOMES: Final = (_ANSWERED, *(kind.value for kind in Kind))
"""How a request may end."""

_FIRST_PAUSE_MS: Final = 250
_LONGEST_PAUSE_MS: Final = 8_000
_TURN_PATIENCE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    Attributes:
        attempts: Most calls for one answer.
        connect_seconds: Longest wait for a connection.
        request_seconds: Longest wait for one whole answer.
        first_contact_seconds: Longest wait in all, attempts included, while the exchange has not
            answered this process even once: somebody is waiting to hear that it is out of reach.
        total_seconds: No new attempt begins after this time.
    """

    attempts: int = 6
    connect_seconds: float = 2.0
    request_seconds: float = 10.0
    first_contact_seconds: float = 3.0
    total_seconds: float = 20.0


class RefusedError(Exception):
    """The exchange does not know the instrument asked for; the message is its own."""


class BybitSession:
    """Calls the exchange; safe for many tasks of one event loop.

    Attributes:
        outcomes: Requests by how they ended: "answered", or the kind of their fault.
    """

    def __init__(
        self,
        base_url: str | None,
        clock_ms: Callable[[], int],
        bucket: Bucket,
        patience: Patience,
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._base_url = base_url
        self._clock_ms = clock_ms
        self._bucket = bucket
        self._patience = patience
        self._sleep = sleep
        self._jitter = jitter
        self._idle: deque[HTTP] = deque()
        # Threads of its own: an exchange that hangs must not hold up the store's work.
        self._threads = ThreadPoolExecutor(_MOST_REQUESTS, "bybit")
        self._has_answered = False
        self._out_of_reach: tuple[int, Fault] = (0, Fault(Kind.PASSING, ""))
        self._is_closed = False
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))

    async def ask(
        self, method: str, query: Mapping[str, str | int], read: Callable[[Reply], T]
    ) -> T:
        """Return what `read` makes of the reply to a pybit method.

        `read` runs inside the attempt: a reply it refuses (ReplyMalformedError) is asked for again.

        Raises:
            RefusedError: the exchange refused the parameters.
            AssayError: SOURCE_UNAVAILABLE or SOURCE_RATE_LIMITED, when trying again did not help.
        """
        began_ms = self._clock_ms()
        until_ms, fault = self._out_of_reach
        if began_ms < until_ms and not self._has_answered:
            raise fault.as_error()
        for attempt in range(1, self._patience.attempts + 1):
            await self._take_turn()
            try:
                answer = read(reply_of(await self._call(method, query)))
            except CALL_ERRORS as error:
                fault = fault_of(error, self._clock_ms())
                self.outcomes[fault.kind.value] += 1
            else:
                self.outcomes[_ANSWERED] += 1
                self._has_answered = True
                return answer
            self._has_answered |= fault.answered
            await self._heed(fault, attempt, began_ms)
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Close connections; those still waiting for an answer close themselves after it."""
        self._is_closed = True
        await self._bucket.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            self._idle.pop().client.close()

    async def _take_turn(self) -> None:
        wait_ms = await self._bucket.reserve(_TURN_PATIENCE_MS)
        if wait_ms > _TURN_PATIENCE_MS:
            raise Fault(Kind.BUSY, "left alone after it asked for patience", wait_ms).as_error()
        if wait_ms:
            await self._sleep(wait_ms / 1000)

    async def _call(self, method: str, query: Mapping[str, str | int]) -> object:
        """Run one request in a thread; its whole time is bounded, name resolution included."""
        limit = self._patience.request_seconds
        if not self._has_answered:
            limit = min(limit, self._patience.first_contact_seconds)
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._threads, self._request, method, query)
        return await asyncio.wait_for(asking, limit)

    def _request(self, method: str, query: Mapping[str, str | int]) -> object:
        """Send one request; runs in a worker thread, which has the pybit session for itself."""
        try:
            http = self._idle.pop()
        except IndexError:
            http = self._open()
        try:
            answer: object = getattr(http, method)(**query)
        except SHAPE_ERRORS as error:
            raise ReplyMalformedError(repr(error)) from error
        finally:
            if self._is_closed:
                http.client.close()
            else:
                self._idle.append(http)
        return answer

    def _open(self) -> HTTP:
        patience = self._patience
        http: Any = HTTP(
            timeout=(patience.connect_seconds, patience.request_seconds),
            max_retries=1,
            retry_codes={_NO_CODE},
        )
        if self._base_url is not None:
            http.endpoint = self._base_url.rstrip("/")
        return http

    async def _heed(self, fault: Fault, attempt: int, began_ms: int) -> None:
        """Wait before the next attempt, or raise when there is to be none."""
        if fault.wait_ms:
            await self._bucket.pause(fault.wait_ms)
        if fault.kind is Kind.REFUSED:
            raise RefusedError(fault.message)
        pause_ms = self._pause_ms(attempt) if fault.kind is Kind.PASSING else 0
        retried = fault.kind in {Kind.PASSING, Kind.BUSY} and attempt < self._patience.attempts
        if not retried or self._clock_ms() + pause_ms > began_ms + self._limit_ms():
            error = fault.as_error(attempt)
            if not self._has_answered:
                # Others who ask meanwhile, gRPC's own retries among them, need not wait as well.
                self._out_of_reach = (self._clock_ms() + (error.retry_after_ms or 0), fault)
            raise error
        if pause_ms:
            await self._sleep(pause_ms / 1000)

    def _limit_ms(self) -> float:
        patience = self._patience
        answered = self._has_answered
        return 1000 * (patience.total_seconds if answered else patience.first_contact_seconds)

    def _pause_ms(self, attempt: int) -> int:
        """Double from pause to pause, and take half of it at random so that clients spread."""
        pause_ms = min(_FIRST_PAUSE_MS << (attempt - 1), _LONGEST_PAUSE_MS)
        return round(pause_ms * (0.5 + self._jitter() / 2))
