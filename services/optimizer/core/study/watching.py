"""What wakes watchers: news of studies that live here at once, of others by looking for it.

All watchers of a study share one signal, and all of a process one look at the store per study, so
that a thousand idle watchers cost the store no more than one. What there is to tell each reads for
itself.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Container
from typing import Final
from weakref import WeakValueDictionary

from services.common.errors import AssayError
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.study.events import Clock

LOOK_SECONDS: Final = 0.5
"""Time between two looks for news of studies that live in another replica."""


class Signals:
    """One signal per watched study, renewed each time it is given."""

    def __init__(self, store: StudyStore, clock: Clock, local: Container[str]) -> None:
        """Wake for the studies in `local` only when told to, for others after looking."""
        self._store = store
        self._clock = clock
        self._local = local
        # Alive as long as somebody watches.
        self._signals: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._seen: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None

    def of(self, study_id: str) -> asyncio.Event:
        """Return the signal of the next news of a study."""
        return self._signals.setdefault(study_id, asyncio.Event())

    async def wait(self, study_id: str, signal: asyncio.Event, seen: int) -> None:
        """Wait for news after the event numbered `seen`."""
        self._seen[study_id] = min(seen, self._seen.get(study_id, seen))
        if self._looking is None or self._looking.done():
            # A context of its own: the deadline of the call that watches is not the look's.
            self._looking = asyncio.get_running_loop().create_task(
                self._look(), context=contextvars.Context()
            )
        await signal.wait()

    def wake(self, study_id: str) -> None:
        """Give a study's signal."""
        self._seen.pop(study_id, None)
        signal = self._signals.pop(study_id, None)
        if signal is not None:
            signal.set()

    def wake_all(self) -> None:
        """Give every signal."""
        for study_id in list(self._signals):
            self.wake(study_id)

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look(self) -> None:
        """Look for news as long as anybody waits."""
        while self._signals:
            await self._clock.sleep(LOOK_SECONDS)
            for study_id, seen in list(self._seen.items()):
                if study_id not in self._signals:
                    self._seen.pop(study_id, None)
                elif study_id not in self._local and await self._has_news(study_id, seen):
                    self.wake(study_id)

    async def _has_news(self, study_id: str, seen: int) -> bool:
        try:
            if await self._store.events(study_id, seen, 1):
                return True
            return await self._store.get(study_id) is None
        except AssayError:
            # An outage: the watchers' own reads tell it.
            return True
