"""Watching studies: what wakes the watchers of each, and what they are told.

Studies that live here tell their news at once; for those of other replicas one look at the store
per study and turn serves all watchers of the process, so that a thousand idle ones cost no more
than one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from functools import lru_cache
from typing import Final
from weakref import WeakValueDictionary

from services.common.errors import AssayError, unavailable
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.study.chronicle import Chronicle
from services.optimizer.core.study.events import Clock, EventWriter
from services.optimizer.core.study.lifecycle import FINAL_STATES
from services.optimizer.core.study.turnstile import Turnstile

LOOK_SECONDS: Final = 0.5
"""Time between two looks for news of studies that live in another replica."""


class Watches:
    """All watches of a process."""

    def __init__(
        self,
        store: StudyStore,
        read_record: Callable[[str], Awaitable[StudyRecord]],
        writer: EventWriter,
        clock: Clock,
        local: Container[str],
    ) -> None:
        """Wake for the studies in `local` only when told to, for others after looking."""
        self._store = store
        self._read_record = read_record
        self._is_finish = lru_cache(maxsize=64)(writer.is_study_finished)
        self._clock = clock
        self._local = local
        # Alive as long as somebody watches.
        self._chronicles: WeakValueDictionary[str, Chronicle] = WeakValueDictionary()
        self._turnstile = Turnstile()
        self._looking: asyncio.Task[None] | None = None
        self._closing = False

    async def watch(self, study_id: str, after_number: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the study's numbered events after a number, old and new, until it is finished.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN; UNAVAILABLE/STORE_UNAVAILABLE when the service
                drains.
        """
        if self._closing:
            raise _draining()
        seen = after_number
        chronicle = self._chronicles.get(study_id)
        if chronicle is None:
            chronicle = Chronicle(study_id, self._store, self._read_record, self._turnstile, seen)
            self._chronicles[study_id] = chronicle
        self._look_elsewhere()
        # What others have read before is not enough for who comes now.
        turn = chronicle.call()
        group, slow, known = None, False, -1
        try:
            while True:
                look, group = await chronicle.look(turn, known, slow=slow)
                ended: bool | None = None
                while events := await chronicle.after(seen):
                    for number, event in events:
                        seen = number
                        yield number, event
                    ended = self._is_finish(events[-1][1])
                    if self._closing:
                        raise _draining()
                if look.record.state in FINAL_STATES and ended is not False:
                    return
                turn, known = look.turn, seen
                if ended and chronicle.newest is look:
                    # An end that came after the record was read is the last news: look again.
                    chronicle.call()
                slow, group = group.leave(), None
        finally:
            if group is not None:
                group.leave()

    def wake(self, study_id: str) -> None:
        """Tell the watchers of a study that there is news."""
        chronicle = self._chronicles.get(study_id)
        if chronicle is not None:
            chronicle.call()

    def release(self) -> None:
        """End all watches: the service drains, and they would keep it from ending."""
        self._closing = True
        for chronicle in list(self._chronicles.values()):
            chronicle.fail(_draining())

    async def close(self) -> None:
        """End all watches, and stop looking."""
        self.release()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    def _look_elsewhere(self) -> None:
        if self._looking is None or self._looking.done():
            # A context of its own: the deadline of the call that watches is not the look's.
            self._looking = asyncio.get_running_loop().create_task(
                self._look(), context=contextvars.Context()
            )

    async def _look(self) -> None:
        """Look for news of studies that live elsewhere, as long as anybody watches."""
        while self._chronicles:
            await self._clock.sleep(LOOK_SECONDS)
            for study_id in list(self._chronicles):
                if study_id in self._local:
                    continue
                chronicle = self._chronicles.get(study_id)
                awaited = chronicle is not None and chronicle.is_awaited
                if chronicle and awaited and await self._has_news(study_id, chronicle.tip):
                    chronicle.call()
                del chronicle

    async def _has_news(self, study_id: str, seen: int) -> bool:
        try:
            if await self._store.events(study_id, seen, 1):
                return True
            record = await self._store.get(study_id)
        except AssayError:
            # An outage: the watchers' own reads tell it.
            return True
        # Who still waits for a study that has ended knows of its last event, not of its end.
        return record is None or record.state in FINAL_STATES


def _draining() -> AssayError:
    return unavailable("STORE_UNAVAILABLE", "the service is draining; watch again")
