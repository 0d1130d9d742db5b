"""What the watchers of one study read together: each news once, however many they are.

The newest events are held here, in bounded memory, and every watcher follows them at its own
number. One that comes late, or reads slowly, is behind what is held: it reads the store by itself
until it has caught up, and holds nobody else.

Watchers are let go a few at a time; see `turnstile`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.study.turnstile import Group, Turnstile, Waiting

PAGE: Final = 64
"""Events read, or handed out, at once: what a watcher that stands still keeps from being freed."""

MOST_RECENT: Final = 256
"""Events held for all watchers of a study."""

MOST_RECENT_BYTES: Final = 4 * 1024 * 1024
"""Size of the events held for all watchers of a study; the newest page is held anyway."""

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


News: TypeAlias = tuple[Look, Group]
"""A reading, and with whom one was let go to tell it: to be left when that is done."""


@dataclass(slots=True)
class _Place:
    """A watcher that waits for a reading later than a turn, and has seen events up to a number."""

    after: int
    seen: int
    slow: bool
    future: asyncio.Future[News]


def _tell(future: asyncio.Future[News], look: Look, group: Group) -> None:
    future.set_result((look, group))


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
        turnstile: Turnstile,
        tip: int,
    ) -> None:
        """Hold nothing yet; `tip` is the number after which the first watcher wants events."""
        self._turnstile = turnstile
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
        self._waiting: deque[_Place] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._failed: Exception | None = None

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

    async def look(self, after_turn: int, seen: int = -1, *, slow: bool = False) -> News:
        """Return a reading later than a turn, as soon as there is one and others have been told.

        Args:
            after_turn: The turn.
            seen: Number of the last event that is known: readings that find no later one, and the
                study as it was, are nobody's news. -1: any reading will do.
            slow: What leaving the last group said.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN, UNAVAILABLE/STORE_UNAVAILABLE; to all who wait.
        """
        if self._failed is not None:
            # It was on its way when all who waited were let go.
            raise self._failed
        future: asyncio.Future[News] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Place(after_turn, seen, slow, future))
        self._begin()
        try:
            return await future
        finally:
            # An error knows the frames it went through: it must not be found in them again.
            del future

    async def after(self, seen: int) -> Events:
        """Return some events after a number, in order; none where the last look saw no more.

        Raises:
            AssayError: UNAVAILABLE/STORE_UNAVAILABLE.
        """
        if self._recent and self._recent[0][0] - 1 <= seen < self.tip:
            begin = seen + 1 - self._recent[0][0]
            return list(islice(self._recent, begin, begin + PAGE))
        if seen == self.tip and not self._full:
            return ()
        # Behind what is held, ahead of it, or the first to want the next page of many.
        events = await self._store.events(self._study_id, seen, PAGE)
        if not events and (seen == self.tip or (seen < self.tip and not self._recent)):
            # Nobody has seen a later one: where the tip lay beyond, a watcher only claimed to.
            self.tip, self._full = seen, False
        self._take(events)
        return events

    def fail(self, error: Exception) -> None:
        """Let all who wait go with an error, at once, and whoever would wait later."""
        self._failed = error
        if self._telling is not None:
            self._telling.cancel()
        self._fail_all(error)

    def _begin(self) -> None:
        if self._telling is None or self._telling.done():
            # A context of its own: the deadline of the call that watches is not this one's.
            self._telling = asyncio.get_running_loop().create_task(
                self._tell(), context=contextvars.Context()
            )

    async def _tell(self) -> None:
        """Read what is new and let those go who wait for it, until nobody does.

        Where both is to be done it is done in turns: those who keep coming keep nobody waiting.
        """
        has_read = False
        while True:
            known = self._look.turn if self._look is not None else -1
            self._waiting = deque(one for one in self._waiting if not one.future.done())
            wanted = known < self._turn and any(one.after >= known for one in self._waiting)
            told = any(one.after < known for one in self._waiting)
            if wanted and not (told and has_read):
                await self._read()
                has_read = True
            elif told:
                await self._turnstile.let_go(self._next)
                has_read = False
            else:
                return

    def _next(self) -> Waiting | None:
        """Take who has waited longest for the newest reading; None where nobody does."""
        look = self._look
        for number, place in enumerate(self._waiting):
            if look is not None and place.after < look.turn and not place.future.done():
                del self._waiting[number]
                return Waiting(partial(_tell, place.future, look), place.slow)
        return None

    async def _read(self) -> None:
        turn = self._turn
        try:
            # In this order: a record that has ended is followed by its last event.
            record = await self._read_record(self._study_id)
            self._notice(record)
            tip = self.tip
            events = await self._store.events(self._study_id, tip, PAGE)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the watchers'
            self._fail_all(error)
            return
        self._take(events)
        # Another's page may have come meanwhile: of that one nothing was learnt here.
        if self.tip == (events[-1][0] if events else tip):
            self._full = len(events) == PAGE
        self._pass_over(self._look, Look(turn, record))
        self._look = Look(turn, record)

    def _pass_over(self, before: Look | None, look: Look) -> None:
        """Have those wait on to whom a reading, made for one who came, tells nothing."""
        if before is None or before.record.state is not look.record.state or self._full:
            return
        for place in self._waiting:
            if place.after == before.turn and place.seen == self.tip:
                place.after = look.turn

    def _fail_all(self, error: Exception) -> None:
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(error)

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
