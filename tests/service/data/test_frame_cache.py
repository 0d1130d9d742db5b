"""Frames in Redis make replicas faster and are never believed unseen."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis

from services.common.frames import Candles
from services.data.adapters.frame_cache import RedisFrameCache, pack, unpack
from tests.private_servers import RedisServer
from tests.service.data.calls import HOUR, bars, import_bars, read, window
from tests.service.data.conftest import NewService


@pytest.fixture
def shared(redis_server: RedisServer) -> redis.Redis:
    """The Redis of the tests, emptied."""
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    return client


def copy_under(shared: redis.Redis, key: Any) -> Candles | None:
    """Return the frame that lies in Redis under a key."""
    value: Any = shared.get(key)
    return unpack(value)


def test_a_frame_survives_packing_bit_for_bit() -> None:
    """Digest and columns, nothing else."""
    rows = bars(range(100))
    packed = pack(rows)
    assert len(packed) == 32 + rows.nbytes
    unpacked = unpack(packed)
    assert unpacked is not None
    assert unpacked.content_digest() == rows.content_digest()


@pytest.mark.parametrize("place", [0, 31, 32, 500])
def test_one_flipped_bit_makes_a_copy_worthless(place: int) -> None:
    """Wherever the damage is, the copy is not used."""
    packed = bytearray(pack(bars(range(100))))
    packed[place] ^= 1
    assert unpack(bytes(packed)) is None


@pytest.mark.parametrize("value", [b"", b"x" * 10, b"x" * 32 + b"y" * 47])
def test_anything_else_is_no_frame(value: bytes) -> None:
    """Short and torn values are not used."""
    assert unpack(value) is None


async def test_a_second_replica_reads_the_frame_of_the_first(
    new_service: NewService, redis_server: RedisServer, shared: redis.Redis
) -> None:
    """What one replica read from the store lies in Redis, by version and window."""
    rows = bars(range(500))
    async with new_service(redis_server.url) as first:
        await import_bars(first, rows)
        await read(first, window=window(10 * HOUR, 90 * HOUR), lookback_bar_count=5)
    (key,) = shared.keys("assay:frame:*")
    wanted = rows.slice(5, 90).content_digest()
    kept = copy_under(shared, key)
    assert kept is not None
    assert kept.content_digest() == wanted
    async with new_service(redis_server.url) as second:
        described, served = await read(
            second, window=window(10 * HOUR, 90 * HOUR), lookback_bar_count=5
        )
    assert served.content_digest() == described.snapshot.content_digest == wanted
    assert described.lookback_row_count == 5


async def test_a_damaged_copy_is_not_served(
    new_service: NewService, redis_server: RedisServer, shared: redis.Redis
) -> None:
    """A copy whose bytes do not have their digest is read from the store again."""
    rows = bars(range(500))
    async with new_service(redis_server.url) as first:
        await import_bars(first, rows)
        await read(first)
    (key,) = shared.keys("assay:frame:*")
    shared.set(key, pack(rows)[:-8] + bytes(8))
    async with new_service(redis_server.url) as second:
        _, served = await read(second)
    assert served.content_digest() == rows.content_digest()
    mended = copy_under(shared, key)
    assert mended is not None


async def test_a_new_version_is_never_answered_from_an_old_copy(
    new_service: NewService, redis_server: RedisServer, shared: redis.Redis
) -> None:
    """Replicas see an import of another replica at once."""
    async with new_service(redis_server.url) as one, new_service(redis_server.url) as other:
        await import_bars(one, bars(range(50)))
        await read(one)
        await read(other)
        await import_bars(one, bars(range(50), price=7.0))
        _, served = await read(other)
    assert served.content_digest() == bars(range(50), price=7.0).content_digest()


async def test_killing_redis_changes_nothing(
    new_service: NewService, redis_server: RedisServer, shared: redis.Redis
) -> None:
    """Dead from the start, killed in the middle, back again: every answer is the same."""
    rows = bars(range(500))
    try:
        async with new_service(redis_server.url) as data:
            await import_bars(data, rows)
            await read(data, window=window(0, 100 * HOUR))
            redis_server.kill()
            for end in (200, 300, 400):
                _, served = await read(data, window=window(0, end * HOUR))
                assert served.content_digest() == rows.slice(0, end).content_digest()
        async with new_service(redis_server.url) as data:
            _, served = await read(data)
            assert served.content_digest() == rows.content_digest()
            redis_server.restart()
            _, served = await read(data, window=window(HOUR))
            assert served.content_digest() == rows.slice(1, 500).content_digest()
    finally:
        redis_server.restart()


async def test_a_lost_redis_is_told_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that Redis is away, and not with every call."""
    cache = RedisFrameCache("redis://127.0.0.1:1/0")
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            await cache.put(str(number), bars(range(3)))
            assert await cache.get(str(number)) is None
    await cache.close()
    lost = [record for record in caplog.records if record.message == "frame_cache.lost"]
    assert len(lost) == 1
