"""One flight for many passengers: equal work wanted at the same time is done once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from services.common.telemetry import deadline_at

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Shares running work between callers that ask for the same key.

    A caller that is cancelled leaves; the work goes on for the others and ends with the last one.
    """

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[V]] = {}
        self._passengers: dict[K, int] = {}

    async def run(self, key: K, work: Callable[[], Awaitable[V]]) -> V:
        """Return the outcome of `work`, or of the same work already running."""
        if key not in self._flights:
            self._flights[key] = self._depart(key, work)
            self._passengers[key] = 0
        flight = self._flights[key]
        self._passengers[key] += 1
        try:
            # Shielded: a cancelled passenger must not bring the flight down.
            return await asyncio.shield(flight)
        finally:
            # A new flight may have departed under the key since this one landed.
            if self._flights.get(key) is flight:
                self._passengers[key] -= 1
                if self._passengers[key] == 0 and not flight.done():
                    self._land(key)
                    flight.cancel()

    def _depart(self, key: K, work: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
        async def flight() -> V:
            try:
                return await work()
            finally:
                if self._flights.get(key) is asyncio.current_task():
                    self._land(key)

        context = contextvars.copy_context()
        # The first passenger's deadline is not the others'.
        context.run(deadline_at.set, None)
        return asyncio.create_task(flight(), context=context)

    def _land(self, key: K) -> None:
        del self._flights[key]
        del self._passengers[key]
