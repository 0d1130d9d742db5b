"""Frames in Redis, shared by the replicas of the data service.

A copy is used only when its bytes have the digest written beside them, and any trouble with Redis
means a miss: slower, never wrong. After trouble Redis is left alone for a while, so that a dead
one costs a timeout now and then and not with every call.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.common.frames import Candles

logger = logging.getLogger(__name__)

_PREFIX = "assay:frame:1:"
_KEPT_SECONDS = 24 * 3600
_LARGEST_BYTES = 128 * 1024 * 1024
_CONNECT_SECONDS = 0.25
_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 5.0
_DIGEST_BYTES = 32


class RedisFrameCache:
    """`FrameCache` on Redis."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._away_until = 0.0
        self._in_trouble = False

    async def get(self, key: str) -> Candles | None:
        """Return the frame under the key; None where there is none, a broken one, or no Redis."""
        value = await self._asked(lambda: self._redis.get(_PREFIX + key))
        if value is None:
            return None
        frame = await asyncio.to_thread(unpack, value)
        if frame is None:
            logger.warning("frame_cache.broken_copy", extra={"key": key})
        return frame

    async def put(self, key: str, frame: Candles) -> None:
        """Keep a copy for a day, unless it is very large."""
        if frame.nbytes <= _LARGEST_BYTES:
            value = await asyncio.to_thread(pack, frame)
            await self._asked(lambda: self._redis.set(_PREFIX + key, value, ex=_KEPT_SECONDS))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def _asked(self, question: Callable[[], Any]) -> Any:
        """Return Redis's answer, or None where it cannot be had."""
        if time.monotonic() < self._away_until:
            return None
        try:
            answer = await question()
        except (RedisError, OSError) as error:
            if not self._in_trouble:
                logger.warning("frame_cache.lost", extra={"error": str(error)})
            self._in_trouble = True
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            return None
        if self._in_trouble:
            logger.info("frame_cache.back")
            self._in_trouble = False
        return answer


def pack(frame: Candles) -> bytes:
    """Return the digest of the columns, then their bytes, little-endian, column by column."""
    body = b"".join(
        column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()
        for column in frame.columns()
    )
    return hashlib.sha256(body).digest() + body


def unpack(value: bytes) -> Candles | None:
    """Return the frame that `pack` wrote; None where a single bit differs."""
    body = memoryview(value)[_DIGEST_BYTES:]
    if len(body) % 48 or hashlib.sha256(body).digest() != value[:_DIGEST_BYTES]:
        return None
    cells = np.frombuffer(body, "<f8").reshape(6, -1)
    return Candles.from_columns([cells[0].view("<i8"), *cells[1:]])
