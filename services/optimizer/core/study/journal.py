"""The way of finished generations into the store, behind the search's back.

While one group of generations is being written the search goes on; what has finished meanwhile is
written together, in one transaction. So a slow store costs throughput only when it is slower than
the search, and a store that is down makes the search wait once enough has piled up. Nothing is
told to anybody before it is stored, and a crash loses only what the next owner asks again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import Generation, Lease, Standing
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.patience import patiently
from services.optimizer.core.study.tally import Tally
from services.optimizer.core.trial import Trial

MOST_WAITING: Final = 2_048
"""Trials that may wait for the store before the search has to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished generation on its way.

    Attributes:
        generation: Its trials and events.
        tally: What the study has come to with it.
        elapsed_ms: Time in RUNNING when it was finished.
    """

    generation: Generation
    tally: Tally
    elapsed_ms: int


class Journal:
    """Writes the generations of one study, in order, under its lease."""

    def __init__(
        self,
        store: StudyStore,
        lease: Lease,
        clock: Clock,
        stored: Callable[[Sequence[Entry], Standing], None],
    ) -> None:
        """Write nothing yet; `stored` is called with what a transaction has stored."""
        self._store = store
        self._lease = lease
        self._clock = clock
        self._stored = stored
        self._waiting: deque[Entry] = deque()
        self._writing: tuple[Entry, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def put(self, entry: Entry) -> None:
        """Take a generation; waits while too much is on its way.

        Raises:
            LeaseLostError: another owner has the study.
            AssayError: the store refuses; an unreachable one is waited for.
        """
        if self._task is not None and self._task.done():
            self._task.result()
        self._waiting.append(entry)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())
            self._task.add_done_callback(_mark_as_seen)
        while self._weight() > MOST_WAITING:
            await self._progress()

    async def flush(self) -> None:
        """Wait until all is stored.

        Raises:
            LeaseLostError: another owner has the study.
            AssayError: the store refuses.
        """
        if self._task is not None:
            await asyncio.shield(self._task)

    @property
    def trial_count(self) -> int:
        """Trials on their way."""
        entries = (*self._writing, *self._waiting)
        return sum(len(entry.generation.trials) for entry in entries)

    def trial(self, number: int) -> Trial | None:
        """Return a trial that is on its way; None for others."""
        for entry in (*self._writing, *self._waiting):
            trials = entry.generation.trials
            if trials[0].number <= number <= trials[-1].number:
                return trials[number - trials[0].number]
        return None

    def _weight(self) -> int:
        entries = (*self._writing, *self._waiting)
        return sum(_weight(entry.generation.trials) for entry in entries)

    async def _progress(self) -> None:
        """Wait until a transaction is through, or the writing has failed."""
        if self._task is None:
            return
        self._changed.clear()
        change = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({self._task, change}, return_when=asyncio.FIRST_COMPLETED)
        change.cancel()
        if self._task.done():
            self._task.result()

    async def _write(self) -> None:
        while self._waiting:
            self._writing = tuple(self._waiting)
            self._waiting.clear()
            generations = [entry.generation for entry in self._writing]
            elapsed_ms = self._writing[-1].elapsed_ms

            async def append(
                written: Sequence[Generation] = generations, elapsed: int = elapsed_ms
            ) -> Standing:
                return await self._store.append(self._lease, written, elapsed)

            standing = await patiently(append, self._clock, "store")
            entries, self._writing = self._writing, ()
            self._stored(entries, standing)
            self._changed.set()


def _weight(trials: Sequence[Trial]) -> int:
    """Return what trials take to hold, in those over one dataset."""
    return sum(max(len(trial.outcome.dataset_results), 1) for trial in trials)


def _mark_as_seen(task: asyncio.Task[None]) -> None:
    """Keep asyncio from reporting a failure whose study has ended already."""
    if not task.cancelled():
        task.exception()
