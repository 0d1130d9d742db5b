"""Lets a crowd go on a few at a time, the next when the last have done what they were let go for.

gRPC hands one finished operation to each turn of the event loop, in their order. Whatever hundreds
of watchers send at once is therefore in the way of every other call until all of it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 8
"""Those let go together."""

PATIENCE_SECONDS: Final = 0.5
"""How long the next wait for one who does not come back, a watcher that no longer reads. They do so
once: nobody waits for the slow again before they were quick."""

LONGEST_PAUSE_SECONDS: Final = 0.02
"""Everybody else has the loop for as long as the last group had it, but no longer than this."""


class Group:
    """Those who were let go together.

    Attributes:
        size: How many there are.
    """

    def __init__(self) -> None:
        self.size = 0
        self._left = 0
        self._empty = asyncio.Event()
        self._began = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        """Time since they were let go."""
        return asyncio.get_running_loop().time() - self._began

    def leave(self) -> bool:
        """Note that one is done; returns whether it was slow."""
        self._left += 1
        if self._left == self.size:
            self._empty.set()
        return self.seconds > PATIENCE_SECONDS

    async def emptied(self) -> None:
        """Wait until all are done, but not for long."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._empty.wait()
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class Waiting:
    """One who wants to go on.

    Attributes:
        let_go: Lets it go, told its group.
        slow: Whether it was slow the last time.
    """

    let_go: Callable[[Group], None]
    slow: bool


class Turnstile:
    """The one way through for all crowds of a process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def let_go(self, following: Callable[[], Waiting | None]) -> None:
        """Let the next few of a crowd go, and wait for those who are not slow.

        Args:
            following: Returns who is next; None where nobody is left.
        """
        async with self._lock:
            group = Group()
            for _ in range(AT_ONCE):
                one = following()
                if one is None:
                    break
                group.size += not one.slow
                one.let_go(Group() if one.slow else group)
            if group.size:
                await group.emptied()
            # A whole group is of a crowd: its next are on their way.
            pause = group.seconds if group.size == AT_ONCE else 0.0
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))
