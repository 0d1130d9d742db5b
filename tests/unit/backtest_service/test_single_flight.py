"""Single flight: equal work at the same time is done once, whoever leaves."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.backtest.adapters.single_flight import SingleFlight
from services.common.telemetry import deadline_at


class Work:
    """Counted work that ends when the gate opens."""

    def __init__(self) -> None:
        self.starts = 0
        self.cancelled = False
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        """Wait for the gate; return how often the work was started."""
        self.starts += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return self.starts


async def _settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_of_one_key_share_one_run() -> None:
    """Three callers, one start, one answer for all."""
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    callers = [asyncio.create_task(flights.run("frame", work)) for _ in range(3)]
    await _settle()

    work.gate.set()

    assert await asyncio.gather(*callers) == [1, 1, 1]


async def test_a_later_caller_starts_anew() -> None:
    """Nothing is remembered after the landing: keeping results is the cache's matter."""
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    work.gate.set()

    assert [await flights.run("frame", work) for _ in range(2)] == [1, 2]


async def test_a_cancelled_caller_does_not_stop_the_others() -> None:
    """The caller that started the work may leave; the other still gets the answer."""
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    first, second = (asyncio.create_task(flights.run("frame", work)) for _ in range(2))
    await _settle()

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.gate.set()

    assert await second == 1


async def test_the_last_caller_to_leave_ends_the_work() -> None:
    """Nobody waits for the answer, so nobody pays for it; a later caller gets a new run."""
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    callers = [asyncio.create_task(flights.run("frame", work)) for _ in range(2)]
    await _settle()

    for caller in callers:
        caller.cancel()
    await _settle()

    assert work.cancelled
    work.gate.set()
    assert await flights.run("frame", work) == 2


async def test_every_caller_gets_the_error_and_the_next_one_tries_again() -> None:
    """A failed run is told to all who waited, and is not kept."""
    flights: SingleFlight[str, int] = SingleFlight()

    async def failing() -> int:
        raise ValueError("no data")

    callers = [asyncio.create_task(flights.run("frame", failing)) for _ in range(2)]
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    work = Work()
    work.gate.set()

    assert [str(outcome) for outcome in outcomes] == ["no data", "no data"]
    assert await flights.run("frame", work) == 1


async def test_the_deadline_of_the_first_caller_does_not_bind_the_others() -> None:
    """The shared work runs without the deadline of the call that happened to start it."""
    flights: SingleFlight[str, float | None] = SingleFlight()
    deadline_at.set(time.monotonic() + 0.01)

    async def seen() -> float | None:
        return deadline_at.get()

    assert await flights.run("frame", seen) is None
