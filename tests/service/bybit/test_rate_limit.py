"""Turns: bursts end in even spacing, pauses hold, and replicas share both through Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from services.common.intervals import Interval
from services.data.adapters.bybit import BybitSource
from services.data.adapters.rate_limit import REDIS_REST_MS, LocalBucket, Rate, SharedBucket
from services.data.core.ports import InstrumentId
from tests.private_servers import RedisServer
from tests.service.bybit.conftest import Clock
from tests.service.bybit.stand_in import HOUR_MS, LAUNCH_MS, StandIn

PATIENCE_MS = 10**9
SLOW = Rate(spacing_ms=600_000, burst=3)
"""So slow that the time a test takes on Redis's clock is nothing against it."""

Buckets = Callable[[], SharedBucket]


@pytest.fixture
async def replica(redis_server: RedisServer, clock: Clock) -> AsyncIterator[Buckets]:
    """Make buckets that share one key, as replicas of the service do."""
    key = f"test:{uuid4()}"
    async with AsyncExitStack() as stack:

        def make() -> SharedBucket:
            local = LocalBucket(SLOW, clock.read)
            bucket = SharedBucket(redis_server.url, key, SLOW, clock.read, local)
            stack.push_async_callback(bucket.close)
            return bucket

        yield make


async def test_a_burst_is_free_and_then_turns_are_spaced(clock: Clock) -> None:
    """Ten at once, then one every 100 ms, and a rest refills the bucket."""
    bucket = LocalBucket(Rate(spacing_ms=100, burst=10), clock.read)

    assert [await bucket.reserve(PATIENCE_MS) for _ in range(12)] == [0] * 10 + [100, 200]
    clock.now_ms += 1_200
    assert [await bucket.reserve(PATIENCE_MS) for _ in range(11)] == [0] * 10 + [100]


async def test_a_turn_beyond_patience_is_not_taken(clock: Clock) -> None:
    """Who would not wait so long leaves the turn to others."""
    bucket = LocalBucket(Rate(spacing_ms=100, burst=1), clock.read)
    await bucket.reserve(PATIENCE_MS)

    assert [await bucket.reserve(50) for _ in range(3)] == [100, 100, 100]


async def test_a_pause_holds_everybody(clock: Clock) -> None:
    """During a pause nobody has a turn, however full the bucket was."""
    bucket = LocalBucket(Rate(), clock.read)
    await bucket.pause(5_000)

    assert await bucket.reserve(PATIENCE_MS) == 5_000


async def test_a_source_spaces_its_requests(
    exchange: StandIn,
    new_source: Callable[..., BybitSource],
    bitcoin: InstrumentId,
    clock: Clock,
) -> None:
    """With one request a second, a launch and four pages sleep four seconds."""
    source = new_source(exchange.url, rate=Rate(spacing_ms=1_000, burst=1))

    pages = source.pages(bitcoin, Interval.HOUR_1, LAUNCH_MS, LAUNCH_MS + 4_000 * HOUR_MS)

    assert [len(page) async for page in pages] == [1_000] * 4
    assert clock.sleeps == [1.0] * 4


async def test_replicas_share_one_bucket(replica: Buckets) -> None:
    """Three turns are free in all, not three for each replica."""
    first, second = replica(), replica()

    waits = [await bucket.reserve(PATIENCE_MS) for bucket in (first, second, first, second, first)]

    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= SLOW.spacing_ms < waits[4] <= 2 * SLOW.spacing_ms


async def test_a_shared_turn_beyond_patience_is_not_taken(replica: Buckets) -> None:
    """The same rule as in process."""
    bucket = replica()
    for _ in range(3):
        await bucket.reserve(0)

    assert all([await bucket.reserve(0) <= SLOW.spacing_ms for _ in range(3)])


async def test_a_pause_of_one_replica_holds_the_others(replica: Buckets) -> None:
    """A ban seen by one is heeded by all."""
    first, second = replica(), replica()
    await first.pause(3_000_000)

    assert 2_400_000 < await second.reserve(PATIENCE_MS) <= 3_000_000


async def test_without_redis_the_process_keeps_its_own_count(
    replica: Buckets, redis_server: RedisServer, clock: Clock
) -> None:
    """Redis may die and come back at any moment: slower or faster, never an error."""
    bucket = replica()
    redis_server.kill()

    alone = [await bucket.reserve(PATIENCE_MS) for _ in range(4)]
    await bucket.pause(3_600_000)
    redis_server.restart()
    resting = await bucket.reserve(0)
    clock.now_ms += REDIS_REST_MS

    assert alone == [0, 0, 0, SLOW.spacing_ms]
    assert resting == 3_600_000
    assert await bucket.reserve(PATIENCE_MS) == 0


async def test_a_source_with_a_redis_that_is_not_there_works(
    exchange: StandIn, new_source: Callable[..., BybitSource], bitcoin: InstrumentId
) -> None:
    """The whole path, with an address nobody listens on."""
    source = new_source(exchange.url, "redis://127.0.0.1:1/0")

    pages = source.pages(bitcoin, Interval.HOUR_1, LAUNCH_MS, LAUNCH_MS + 5 * HOUR_MS)

    assert [len(page) async for page in pages] == [5]
