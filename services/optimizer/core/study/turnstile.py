"""Lets a crowd go on a few at a time, the next when the last have done what they were let go for.

gRPC hands one finished operation to each turn of the event loop, in their order. Whatever hundreds
of watchers send at once is therefore in the way of every other call until all of it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 8
"""Those let go together."""

PATIENCE_SECONDS: Final = 0.05
"""How long the next wait for one who does not come back: a watcher that no longer reads."""

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

    def leave(self) -> None:
        """Note that one is done."""
        self._left += 1
        if self._left == self.size:
            self._empty.set()

    async def emptied(self) -> None:
        """Wait until all are done, but not for long."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._empty.wait()
        except TimeoutError:
            return


class Turnstile:
    """The one way through for all crowds of a process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def let_go(self, following: Callable[[], Callable[[Group], None] | None]) -> None:
        """Let the next few of a crowd go, and wait for them.

        Args:
            following: Returns what lets the next one go, told its group; None where none is left.
        """
        async with self._lock:
            group = Group()
            while group.size < AT_ONCE and (let_go := following()) is not None:
                group.size += 1
                let_go(group)
            if group.size:
                began = asyncio.get_running_loop().time()
                await group.emptied()
                if group.size == AT_ONCE:
                    # A crowd: its next are on their way.
                    took = asyncio.get_running_loop().time() - began
                    await asyncio.sleep(min(took, LONGEST_PAUSE_SECONDS))
