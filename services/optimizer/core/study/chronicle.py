"""What the watchers of one study read together: each news once, however many they are.

The newest events are held here, in bounded memory, and every watcher follows them at its own
number. One that comes late, or reads slowly, is behind what is held: it reads the store by itself
until it has caught up, and holds nobody else.

Watchers are let go a few at a time. Hundreds of them in one turn of the event loop would keep
everybody else waiting for as long as it takes to tell them all.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord

PAGE: Final = 64
"""Events read, or handed out, at once: what a watcher that stands still keeps from being freed."""

MOST_RECENT: Final = 256
"""Events held for all watchers of a study."""

MOST_RECENT_BYTES: Final = 4 * 1024 * 1024
"""Size of the events held for all watchers of a study; the newest page is held anyway."""

RELEASED_AT_ONCE: Final = 8
"""Watchers let go in one turn of the event loop."""

Events: TypeAlias = Sequence[tuple[int, bytes]]
"""Events with their numbers, which rise by 1."""


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of a study for all its watchers.

    Attributes:
        turn: How many calls for a new reading came before it.
        record: The study; events that were there with it can be had.
    """

    turn: int
    record: StudyRecord


class Chronicle:
    """One study's newest events, and who waits for more.

    Attributes:
        tip: Number of the last event held; before the first one, where the watchers began.
    """

    def __init__(
        self,
        study_id: str,
        store: StudyStore,
        read_record: Callable[[str], Awaitable[StudyRecord]],
        tip: int,
    ) -> None:
        """Hold nothing yet; `tip` is the number after which the first watcher wants events."""
        self._study_id = study_id
        self._store = store
        self._read_record = read_record
        self.tip = tip
        self._recent: deque[tuple[int, bytes]] = deque()
        self._recent_bytes = 0
        # Whether the last page was full, so that more may be stored.
        self._full = False
        self._turn = 0
        self._look: Look | None = None
        self._waiting: deque[tuple[int, asyncio.Future[Look]]] = deque()
        self._reading: asyncio.Task[None] | None = None

    @property
    def newest(self) -> Look | None:
        """The newest reading; None before the first."""
        return self._look

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for news."""
        return bool(self._waiting)

    def call(self) -> int:
        """Call for a new reading: there is, or may be, news. Returns the turn before it."""
        self._turn += 1
        if self._waiting:
            self._begin()
        return self._turn - 1

    async def look(self, after_turn: int) -> Look:
        """Return a reading later than a turn, as soon as there is one.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN, UNAVAILABLE/STORE_UNAVAILABLE; to all who wait.
        """
        if self._look is not None and self._look.turn > after_turn:
            return self._look
        future: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        self._waiting.append((after_turn, future))
        if self._turn > after_turn:
            self._begin()
        try:
            return await future
        finally:
            # An error knows the frames it went through: it must not be found in them again.
            del future

    async def after(self, seen: int) -> Events:
        """Return some events after a number, in order; none where the last look saw no more.

        Raises:
            AssayError: as `look`.
        """
        if self._recent and self._recent[0][0] - 1 <= seen < self.tip:
            begin = seen + 1 - self._recent[0][0]
            return list(islice(self._recent, begin, begin + PAGE))
        if seen != self.tip:
            # Behind what is held, or ahead of it: each of these reads for itself.
            events = await self._store.events(self._study_id, seen, PAGE)
            self._take(events)
            return events
        if not self._full:
            return ()
        await self.look(self.call())
        return await self.after(seen) if self.tip > seen else ()

    def fail(self, error: Exception) -> None:
        """Let all who wait go with an error, at once."""
        if self._reading is not None:
            self._reading.cancel()
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)

    def _begin(self) -> None:
        if self._reading is None or self._reading.done():
            # A context of its own: the deadline of the call that watches is not the reading's.
            self._reading = asyncio.get_running_loop().create_task(
                self._read(), context=contextvars.Context()
            )

    async def _read(self) -> None:
        """Read what is new and let those go who wait for it, until nobody does."""
        while any(after < self._turn and not one.done() for after, one in self._waiting):
            turn = self._turn
            try:
                # In this order: a record that has ended is followed by its last event.
                record = await self._read_record(self._study_id)
                self._notice(record)
                tip = self.tip
                events = await self._store.events(self._study_id, tip, PAGE)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the watchers'
                await self._release(self._turn, error)
                continue
            self._take(events)
            if not events or events[-1][0] == self.tip:
                self._full = len(events) == PAGE
            self._look = look = Look(turn, record)
            await self._release(turn, look)

    async def _release(self, turn: int, news: Look | Exception) -> None:
        """Let those go who wait for a turn up to this one, a few at a time."""
        released = 0
        for _ in range(len(self._waiting)):
            after, future = self._waiting.popleft()
            if future.done():
                continue
            if after >= turn:
                self._waiting.append((after, future))
                continue
            if isinstance(news, Look):
                future.set_result(news)
            else:
                future.set_exception(news)
            released += 1
            if released % RELEASED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _notice(self, record: StudyRecord) -> None:
        """Forget the events of a study that was deleted, and whose id is another's now."""
        if self._look is not None and self._look.record.create_time_ms != record.create_time_ms:
            self._recent.clear()
            self._recent_bytes, self.tip, self._full = 0, 0, False

    def _take(self, events: Events) -> None:
        """Hold events that go on from the last one; or these alone, where they begin later."""
        if not events:
            return
        if not self._recent or events[0][0] > self.tip + 1:
            self._recent.clear()
            self._recent_bytes, self.tip = 0, events[0][0] - 1
        if events[-1][0] <= self.tip:
            return
        self._full = len(events) == PAGE
        for number, event in events:
            if number > self.tip:
                self._recent.append((number, event))
                self._recent_bytes += len(event)
                self.tip = number
        while len(self._recent) > PAGE and (
            len(self._recent) > MOST_RECENT or self._recent_bytes > MOST_RECENT_BYTES
        ):
            self._recent_bytes -= len(self._recent.popleft()[1])
