"""The trials of the studies read last, kept in memory so that paging reads a study once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from services.optimizer.core.ports import StudyStore
from services.optimizer.core.trial import Trial

DEFAULT_CAPACITY: Final = 20_000
"""Trials held: two of the largest studies."""


class TrialCache:
    """Reads trials through; holds at most `capacity` of them, or those of one larger study."""

    def __init__(self, store: StudyStore, capacity: int = DEFAULT_CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._held: OrderedDict[str, Sequence[Trial]] = OrderedDict()
        self._changes: dict[str, int] = {}

    async def trials(self, study_id: str) -> Sequence[Trial]:
        """Return all stored trials of a study by rising number."""
        while study_id not in self._held:
            changes = self._changes.get(study_id)
            trials = await self._store.trials(study_id)
            if self._changes.get(study_id) == changes:
                self._held[study_id] = trials
        self._held.move_to_end(study_id)
        held = self._held[study_id]
        while len(self._held) > 1 and sum(map(len, self._held.values())) > self._capacity:
            self._held.popitem(last=False)
        return held

    def extend(self, study_id: str, trials: Sequence[Trial]) -> None:
        """Take note of trials just stored."""
        # A read under way may or may not have seen them: the count tells it to read again.
        self._changes[study_id] = self._changes.get(study_id, 0) + 1
        if study_id in self._held:
            self._held[study_id] = [*self._held[study_id], *trials]

    def forget(self, study_id: str) -> None:
        """Drop a study that is deleted."""
        self._held.pop(study_id, None)
        self._changes.pop(study_id, None)
