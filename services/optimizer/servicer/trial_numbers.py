"""Orders of trials by their numbers, kept so that paging through a study reads it once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.trial_order import BY_NUMBER, TrialOrder, ordered
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Trial, TrialState
from services.optimizer.core.walk_forward.winners import best_of

CAPACITY: Final = 32
"""Orders kept: 0.8 MB each for the largest studies."""

Numbers = npt.NDArray[np.int64]


class TrialNumbers:
    """Reads the trials of a study in some order; keeps the orders used last."""

    def __init__(self, store: StudyStore, capacity: int = CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._held: OrderedDict[Hashable, Numbers] = OrderedDict()

    async def best(self, record: StudyRecord, finished: int, plan: StudyPlan) -> Numbers:
        """Return the numbers of the best trials, as `best_of` says, of `finished` trials."""
        return await self._kept(record, finished, "best", (), lambda table: best_of(plan, table))

    async def ordered(
        self, record: StudyRecord, finished: int, order: TrialOrder, state: TrialState | None
    ) -> Numbers:
        """Return the numbers of the trials in a state (None: all), in an order."""
        metrics = () if order.key == BY_NUMBER else (order.key,)
        return await self._kept(
            record, finished, (order, state), metrics, lambda table: ordered(table, order, state)
        )

    async def trials(self, study_id: str, numbers: Numbers) -> Sequence[Trial]:
        """Return the trials with these numbers, in this order."""
        return await self._store.trials_numbered(study_id, numbers.tolist())

    async def _kept(
        self,
        record: StudyRecord,
        finished: int,
        what: Hashable,
        metrics: Sequence[str],
        choose: Callable[[TrialTable], Numbers],
    ) -> Numbers:
        # A deleted study's namesake has another time of creation.
        key = (record.study_id, record.create_time_ms, finished, what)
        if key not in self._held:
            table = await self._store.table(record.study_id, metrics)
            self._held[key] = await asyncio.to_thread(choose, table.first(finished))
        self._held.move_to_end(key)
        found = self._held[key]
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return found
