"""A process of the optimizer on a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.common.errors import AssayError
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.ownership import Replica
from services.optimizer.core.study.supervisor import Supervisor
from tests.unit.optimizer.in_memory import (
    ScriptedWorkers,
    TextWriter,
    TickingClock,
    make_plan,
    pending,
    search_of,
    words,
)
from tests.unit.optimizer.memory_store import MemoryStore

PLAN = make_plan(trial_count=12)


class Process:
    """One process of the optimizer on a store that outlives it."""

    def __init__(
        self, store: MemoryStore, workers: ScriptedWorkers, name: str = "a", limit: int = 16
    ) -> None:
        self.store = store
        self.workers = workers
        self.time = TickingClock()
        self.defect: Exception | None = None
        self.supervisor = Supervisor(
            store, self._engage, TextWriter(), self.time.clock, Replica(name, study_limit=limit)
        )

    async def _engage(self, record: StudyRecord) -> Engagement:
        if self.defect is not None:
            raise self.defect
        return Engagement(PLAN, search_of(PLAN), self.workers)

    async def begin(self, study_id: str = "one") -> None:
        """Store a study and start it."""
        await self.store.create(pending(study_id), PLAN.shape)
        self.supervisor.wake()

    async def watched(self, study_id: str = "one", after: int = 0) -> list[dict[str, object]]:
        """Return all events up to the end."""
        return [dict(words(event)) async for _, event in self.supervisor.watch(study_id, after)]

    def freeze(self) -> None:
        """Renew and claim nothing more, as a process that was halted."""
        for loop in self.supervisor._ownership._loops:
            loop.cancel()

    def state(self, study_id: str = "one") -> StudyState:
        """Return the stored state."""
        return self.store.records[study_id].state


@asynccontextmanager
async def process(
    store: MemoryStore | None = None,
    workers: ScriptedWorkers | None = None,
    name: str = "a",
    limit: int = 16,
) -> AsyncIterator[Process]:
    """Run a process until the end of the block."""
    one = Process(store or MemoryStore(), workers or ScriptedWorkers(), name, limit)
    one.supervisor.begin()
    yield one
    await one.supervisor.close()


def reason(error: pytest.ExceptionInfo[AssayError]) -> str:
    """Return the reason of a refusal."""
    return error.value.reason
