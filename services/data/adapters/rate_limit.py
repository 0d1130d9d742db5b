"""Turns at the exchange: how long to wait before the next request may go out.

The generic cell rate algorithm: one number, the time at which the bucket would be level again,
decides every wait. In process by default; shared by all replicas through Redis when there is one,
and back to the process's own bucket while Redis is away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import redis.asyncio
from redis.exceptions import RedisError

REDIS_TIMEOUT_SECONDS: Final = 0.25
REDIS_REST_MS: Final = 5_000
"""How long Redis is left alone after it failed: a hanging one must not slow every request."""

_RESERVE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local spacing, slack, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local level = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = math.max(level - slack - now, 0)
if wait <= patience then
  redis.call('SET', KEYS[1], level + spacing, 'PX', level + spacing - now)
end
return wait
"""

_PAUSE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local level = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now + tonumber(ARGV[1]))
redis.call('SET', KEYS[1], level, 'PX', level - now)
return level - now
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests may go out.

    Attributes:
        spacing_ms: Time between requests in the long run.
        burst: Requests that may go out at once after a rest.
    """

    spacing_ms: int = 100
    burst: int = 10

    @property
    def slack_ms(self) -> int:
        """How far the level may run ahead of the clock before a request has to wait."""
        return (self.burst - 1) * self.spacing_ms


class Bucket(Protocol):
    """Hands out turns."""

    async def reserve(self, patience_ms: int) -> int:
        """Return the ms to wait before the request; the turn is taken unless beyond patience."""
        ...

    async def pause(self, duration_ms: int) -> None:
        """Let nobody have a turn for `duration_ms`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class LocalBucket:
    """A bucket of this process."""

    def __init__(self, rate: Rate, clock_ms: Callable[[], int]) -> None:
        self._rate = rate
        self._clock_ms = clock_ms
        self._level_ms = 0

    async def reserve(self, patience_ms: int) -> int:
        """Return the ms to wait before the request; the turn is taken unless beyond patience."""
        now_ms = self._clock_ms()
        level_ms = max(self._level_ms, now_ms)
        wait_ms = max(level_ms - self._rate.slack_ms - now_ms, 0)
        if wait_ms <= patience_ms:
            self._level_ms = level_ms + self._rate.spacing_ms
        return wait_ms

    async def pause(self, duration_ms: int) -> None:
        """Let nobody have a turn for `duration_ms`."""
        self._level_ms = max(self._level_ms, self._clock_ms() + duration_ms + self._rate.slack_ms)

    async def close(self) -> None:
        """Nothing to let go of."""


class SharedBucket:
    """A bucket in Redis, on the clock of Redis; any failure of Redis falls back to `local`."""

    def __init__(
        self, url: str, key: str, rate: Rate, clock_ms: Callable[[], int], local: Bucket
    ) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )
        self._key = key
        self._rate = rate
        self._clock_ms = clock_ms
        self._local = local
        self._rests_until_ms = 0

    async def reserve(self, patience_ms: int) -> int:
        """Return the ms to wait before the request; the turn is taken unless beyond patience."""
        wait_ms = await self._run(_RESERVE, self._rate.spacing_ms, self._rate.slack_ms, patience_ms)
        return await self._local.reserve(patience_ms) if wait_ms is None else wait_ms

    async def pause(self, duration_ms: int) -> None:
        """Let no replica have a turn for `duration_ms`."""
        await self._local.pause(duration_ms)
        await self._run(_PAUSE, duration_ms + self._rate.slack_ms)

    async def close(self) -> None:
        """Close the connection to Redis."""
        await self._redis.aclose()

    async def _run(self, script: str, *arguments: int) -> int | None:
        """Run a script on the shared bucket; None while Redis does not answer."""
        if self._clock_ms() < self._rests_until_ms:
            return None
        try:
            answer = await cast("Any", self._redis).eval(script, 1, self._key, *arguments)
        except (RedisError, OSError, TimeoutError):
            self._rests_until_ms = self._clock_ms() + REDIS_REST_MS
            return None
        return int(answer)
