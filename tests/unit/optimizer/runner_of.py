"""A claimed study with its runner, for tests of the loop."""

from __future__ import annotations

from dataclasses import replace

from services.optimizer.core.ports import Search, Workers
from services.optimizer.core.records import StudyState
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.runner import Runner
from tests.unit.optimizer.in_memory import TextWriter, TickingClock, pending, search_of
from tests.unit.optimizer.memory_store import MemoryStore


def claimed_runner(
    plan: StudyPlan,
    workers: Workers,
    store: MemoryStore | None = None,
    search: Search | None = None,
    limits: Limits | None = None,
) -> tuple[Runner, MemoryStore]:
    """Claim the study "one" of a store, which is made where there is none, and run it."""
    store = store or MemoryStore()
    record = store.records.setdefault("one", pending())
    store.records["one"] = replace(
        record,
        lease_epoch=record.lease_epoch + 1,
        state=StudyState.RUNNING,
        limits=limits or record.limits,
    )
    runner = Runner(
        store.records["one"],
        Engagement(plan, search or search_of(plan), workers),
        store,
        TextWriter(),
        TickingClock().clock,
        lambda _: None,
    )
    return runner, store
