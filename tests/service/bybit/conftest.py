"""A stand-in of the exchange, a clock that sleeping moves, and sources that use both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from services.data.adapters.bybit import BybitSource
from services.data.core.ports import InstrumentId
from tests.service.bybit.stand_in import NOW_MS, StandIn


class Clock:
    """A clock that only sleeping moves.

    Attributes:
        now_ms: The time.
        sleeps: Every sleep so far, in seconds.
    """

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.sleeps: list[float] = []

    def read(self) -> int:
        """Return the time."""
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        """Move the clock without waiting."""
        self.sleeps.append(seconds)
        self.now_ms += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    """A clock that begins at the stand-in's time."""
    return Clock()


@pytest.fixture
def exchange() -> Iterator[StandIn]:
    """The stand-in of the exchange."""
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture
async def new_source(clock: Clock) -> AsyncIterator[Callable[..., BybitSource]]:
    """Make sources on the test's clock, without jitter; they are closed after the test."""
    made: list[BybitSource] = []

    def make(url: str, redis_url: str | None = None, **options: Any) -> BybitSource:
        source = BybitSource(
            url, clock.read, redis_url, sleep=clock.sleep, jitter=lambda: 1.0, **options
        )
        made.append(source)
        return source

    yield make
    for source in made:
        await source.close()


@pytest.fixture
def source(exchange: StandIn, new_source: Callable[..., BybitSource]) -> BybitSource:
    """A source that talks to the stand-in."""
    return new_source(exchange.url)


@pytest.fixture
def bitcoin() -> InstrumentId:
    """The linear contract."""
    return InstrumentId("bybit", "linear", "BTCUSDT")
