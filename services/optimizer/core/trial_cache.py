"""The trials of the studies read last, kept in memory so that paging reads a study once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from weakref import WeakValueDictionary

from services.optimizer.core.ports import StudyStore
from services.optimizer.core.trial import Trial

DEFAULT_CAPACITY: Final = 20_000
"""Trials held: two of the largest studies."""


class _Reading:
    """A read under way, with what was stored since it began."""

    def __init__(self) -> None:
        self.stored_since: list[Trial] = []


class TrialCache:
    """Reads trials through; holds at most `capacity` of them, or those of one larger study."""

    def __init__(self, store: StudyStore, capacity: int = DEFAULT_CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._held: OrderedDict[str, Sequence[Trial]] = OrderedDict()
        # Alive as long as somebody reads.
        self._readings: WeakValueDictionary[str, _Reading] = WeakValueDictionary()

    async def trials(self, study_id: str) -> Sequence[Trial]:
        """Return all stored trials of a study by rising number."""
        while study_id not in self._held:
            reading = self._readings.setdefault(study_id, _Reading())
            trials = await self._store.trials(study_id)
            # Another one, or none: the study was deleted meanwhile.
            if self._readings.get(study_id) is reading:
                self._held[study_id] = _continued(trials, reading.stored_since)
        self._held.move_to_end(study_id)
        held = self._held[study_id]
        # A study without trials takes room as well.
        while len(self._held) > 1 and sum(map(len, self._held.values())) + len(self._held) > (
            self._capacity
        ):
            self._held.popitem(last=False)
        return held

    def extend(self, study_id: str, trials: Sequence[Trial]) -> None:
        """Take note of trials just stored."""
        reading = self._readings.get(study_id)
        if reading is not None:
            reading.stored_since += trials
        if study_id in self._held:
            self._held[study_id] = _continued(self._held[study_id], trials)

    def forget(self, study_id: str) -> None:
        """Drop a study that is deleted."""
        self._held.pop(study_id, None)
        self._readings.pop(study_id, None)


def _continued(trials: Sequence[Trial], later: Sequence[Trial]) -> Sequence[Trial]:
    """Return trials with those that follow; a read may have seen some of `later` already."""
    return [*trials, *(trial for trial in later if trial.number >= len(trials))]
