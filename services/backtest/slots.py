"""The slots of a worker: a bounded queue in front of the threads that run kernels.

Knows nothing of backtests. Kernels release the GIL, so the event loop stays free to answer health
checks and cancellations while all slots are busy.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.common.errors import unavailable

T = TypeVar("T")

QUEUE_LIMIT = 64
"""Calls that may wait for a slot; a caller beyond them is better off with another worker."""

_RETRY_AFTER_MS = 250


class Slots:
    """Runs blocking work on `count` threads, first come, first served."""

    def __init__(self, count: int, queue_limit: int = QUEUE_LIMIT) -> None:
        self._count = count
        self._queue_limit = queue_limit
        self._free = asyncio.Semaphore(count)
        self._busy = 0
        self._queued = 0
        self._finished = 0
        self._worked_seconds = 0.0
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="slot")

    @property
    def count(self) -> int:
        """Pieces of work that can run at once."""
        return self._count

    @property
    def busy(self) -> int:
        """Pieces of work running now, cancelled ones included until their thread is free."""
        return self._busy

    @property
    def queued(self) -> int:
        """Pieces of work waiting for a slot."""
        return self._queued

    @property
    def finished(self) -> int:
        """Pieces of work that have ended, in whatever way."""
        return self._finished

    @property
    def worked_seconds(self) -> float:
        """Time all slots together have spent on work that has ended."""
        return self._worked_seconds

    async def run(self, work: Callable[[threading.Event], T]) -> T:
        """Run `work` in a slot and return what it returns.

        `work` gets an event that is set when the caller is cancelled; it should then end soon. Its
        slot stays taken until it has.

        Raises:
            AssayError: UNAVAILABLE/WORKER_BUSY when all slots are taken and the queue is full.
        """
        await self._take()
        cancelled = threading.Event()
        took: list[float] = []

        def timed() -> T:
            began = time.monotonic()
            try:
                return work(cancelled)
            finally:
                took.append(time.monotonic() - began)

        try:
            future = self._threads.submit(timed)
        except BaseException:
            self._give_back()
            raise
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end, sum(took)))
        try:
            # Shielded: cancelling the wait must not mark the future as ended while the thread runs.
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def close(self) -> None:
        """Wait for running work and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _take(self) -> None:
        if self._free.locked() and self._queued >= self._queue_limit:
            raise unavailable(
                "WORKER_BUSY",
                f"all {self._count} slots are busy and {self._queued} calls are waiting",
                retry_after_ms=_RETRY_AFTER_MS,
            )
        self._queued += 1
        try:
            await self._free.acquire()
        finally:
            self._queued -= 1
        self._busy += 1

    def _end(self, seconds: float) -> None:
        self._finished += 1
        self._worked_seconds += seconds
        self._give_back()

    def _give_back(self) -> None:
        self._busy -= 1
        self._free.release()
