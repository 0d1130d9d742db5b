"""All services of one machine as child processes that live no longer than this one."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from cli.child import Child
from cli.plan import ServePlan

START_SECONDS = 300.0
"""Time for all services to say SERVING; the first start compiles the kernels."""
_KILL_MARGIN_SECONDS = 3.0
"""Given to a child beyond its own drain time before it is ended."""

Outcome = TypeVar("Outcome")


class HomeInUseError(Exception):
    """Another `assay serve` works in this home."""


class StartTimeoutError(Exception):
    """Not all services said SERVING in time; the message holds the last log lines."""


class Supervisor:
    """Keeps the children running. Made by `supervised`."""

    def __init__(self, children: list[Child], drain_seconds: float) -> None:
        self._children = children
        self._drain_seconds = drain_seconds
        self._tasks = [asyncio.create_task(child.keep_running()) for child in children]

    async def serving(self) -> None:
        """Return when every service says SERVING.

        Raises:
            StartTimeoutError: that took too long.
            ChildKeepsDyingError: a child died again and again.
        """
        waiting = asyncio.gather(*(child.serving() for child in self._children))
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.unless_failed(waiting)
        except TimeoutError:
            logs = "\n".join(
                f"{child.plan.name}:\n{child.last_lines()}" for child in self._children
            )
            message = f"not all services are SERVING after {START_SECONDS:g} s\n{logs}"
            raise StartTimeoutError(message) from None

    async def unless_failed(self, work: Awaitable[Outcome]) -> Outcome:
        """Await some work; ChildKeepsDyingError as soon as a child is given up."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for watched in self._tasks:
                if watched.done():
                    watched.result()
            return await task
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def stop(self) -> None:
        """Drain the children, callers before those they call; none is left when this returns."""
        deadline = time.monotonic() + self._drain_seconds + _KILL_MARGIN_SECONDS
        try:
            data, *workers, optimizer = self._children
            await optimizer.stop(deadline)
            await asyncio.gather(*(worker.stop(deadline) for worker in workers))
            await data.stop(deadline)
        finally:
            self.kill()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """End all children at once."""
        for child in self._children:
            child.kill()


@asynccontextmanager
async def supervised(
    plan: ServePlan,
    home: Path,
    *,
    drain_seconds: float,
    verbose: bool,
    say: Callable[[str], None],
) -> AsyncIterator[Supervisor]:
    """Start all services and stop them in the end.

    Args:
        plan: What to start.
        home: Folder of the stores, of `logs/` and of `run/` with a pid file per child.
        drain_seconds: Time the children take at most to finish the calls in hand.
        verbose: Whether their logs go to stderr instead of files.
        say: Told in one line when something happens to a child.

    Raises:
        HomeInUseError: another supervisor works in this home.
    """
    for folder in ("logs", "run"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    with _locked(home / "run" / "serve.lock"):
        children = [Child(child, home, verbose=verbose, say=say) for child in plan.children]
        supervisor = Supervisor(children, drain_seconds)
        try:
            yield supervisor
        finally:
            await supervisor.stop()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            home = file.parent.parent
            raise HomeInUseError(f"{home} is used by the assay process {owner}") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
