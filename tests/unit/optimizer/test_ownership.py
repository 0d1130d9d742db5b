"""Replicas and their studies: claimed, taken over, given back, waited for, lost."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from services.common.errors import AssayError, unavailable
from services.optimizer.core.records import Lease, StudyRecord, StudyState
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.limits import Limits
from tests.unit.optimizer.in_memory import (
    ScriptedWorkers,
    pending,
    timeless,
)
from tests.unit.optimizer.memory_store import MemoryStore
from tests.unit.optimizer.process import PLAN, Process, process, reason


async def test_another_replica_takes_up_what_a_dead_one_left() -> None:
    """Once its lease has run out: pending and running studies go on, stopping ones are stopped."""
    store = MemoryStore()
    hang = asyncio.Event()
    first = Process(store, ScriptedWorkers(hang=hang))
    first.supervisor.begin()
    await first.begin("running")
    await first.workers.called.wait()
    for study_id, state in (
        ("pending", StudyState.PENDING),
        ("stopping", StudyState.STOPPING),
        ("stopped", StudyState.STOPPED),
        ("failed", StudyState.FAILED),
    ):
        await store.create(replace(pending(study_id), state=state), PLAN.shape)

    first.freeze()
    async with process(store, name="b") as second:
        store.now_ms += 20_000
        second.supervisor.wake()
        for study_id in ("running", "pending", "stopping"):
            await second.watched(study_id)
        taken = store.records["running"]
        kept = timeless(store.kept["running"])
        hang.set()
        await asyncio.sleep(0)
        await first.supervisor.close()

    states = {study_id: record.state.name for study_id, record in store.records.items()}
    assert states == {
        "running": "SUCCEEDED",
        "pending": "SUCCEEDED",
        "stopping": "STOPPED",
        "stopped": "STOPPED",
        "failed": "FAILED",
    }
    assert (taken.owner, taken.lease_epoch) == ("b", 2)
    assert timeless(store.kept["running"]) == kept == timeless(store.kept["pending"])
    assert "stopping" not in store.kept


async def test_a_replica_that_drains_gives_its_studies_back() -> None:
    """Another one has them at once, without waiting for the lease to run out."""
    store = MemoryStore()
    first = Process(store, ScriptedWorkers(hang=asyncio.Event()))
    first.supervisor.begin()
    await first.begin()
    await first.workers.called.wait()
    await first.supervisor.close()
    async with process(store, name="b") as second:
        await second.watched()

    assert store.records["one"].owner == "b"
    assert second.state() is StudyState.SUCCEEDED


async def test_a_full_replica_leaves_studies_waiting() -> None:
    """Until one of its own has ended; a stop need not wait for that."""
    hang = asyncio.Event()
    async with process(workers=ScriptedWorkers(hang=hang), limit=1) as one:
        await one.begin("first")
        await one.workers.called.wait()
        await one.begin("second")
        await one.begin("third")
        await one.supervisor.stop("third")
        await one.watched("third")
        waiting = one.state("second")
        hang.set()
        await one.watched("second")

    assert waiting is StudyState.PENDING
    assert one.state("third") is StudyState.STOPPED
    assert one.state("second") is StudyState.SUCCEEDED


async def test_any_replica_stops_limits_and_watches_a_study() -> None:
    """Its owner heeds what it finds with its next write or renewal."""
    store = MemoryStore()
    hang = asyncio.Event()
    async with process(store, ScriptedWorkers(hang=hang)) as owner:
        await owner.begin("stopped")
        await owner.begin("limited")
        await owner.workers.called.wait()
        async with process(store, name="b") as other:
            await other.supervisor.stop("stopped")
            await other.supervisor.set_limits("limited", Limits(5))
            watching = asyncio.ensure_future(other.watched("stopped"))
            hang.set()
            stopped = await watching
            await other.watched("limited")

    assert stopped[-1] == {"end": "STOPPED"}
    assert store.records["stopped"].owner == "a"
    assert len(store.kept["limited"]) < 12


async def test_an_outage_while_a_study_is_taken_up_is_waited_for() -> None:
    """What a study begins with is in the store too; that it is away is no failure of the study."""
    async with process() as one:
        engage, refusals = one._engage, [unavailable("STORE_UNAVAILABLE", "away")] * 3

        async def engage_at_last(record: StudyRecord) -> Engagement:
            if refusals:
                raise refusals.pop()
            return await engage(record)

        one.supervisor._ownership._engage = engage_at_last
        await one.begin()
        events = await one.watched()

    assert events[-1] == {"end": "SUCCEEDED"}


async def test_nobody_waits_for_a_study_that_is_being_taken_up() -> None:
    """Reading many trials takes a while, in which their events tell as much."""
    async with process() as one:
        engage, called, go_on = one._engage, asyncio.Event(), asyncio.Event()

        async def engage_late(record: StudyRecord) -> Engagement:
            called.set()
            await go_on.wait()
            return await engage(record)

        one.supervisor._ownership._engage = engage_late
        await one.begin()
        await called.wait()
        before = one.supervisor.outcome("one")
        go_on.set()
        await one.workers.called.wait()
        after = one.supervisor.outcome("one")
        await one.watched()

    assert before is None
    assert after is not None


async def test_a_study_that_cannot_be_taken_up_keeps_what_is_known_of_it() -> None:
    """Its record does not say that it has no trials."""
    async with process() as one:
        one.defect = ZeroDivisionError("secret")
        await one.begin()
        await one.watched()

    assert one.store.records["one"].state is StudyState.FAILED
    assert one.store.records["one"].outcome == b""


async def test_a_study_does_not_inherit_the_call_that_started_it() -> None:
    """A deadline or request id of CreateStudy is not the study's."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    async with process() as one:
        one.store.appended = lambda: seen.append(variable.get())
        variable.set("of the call")
        await one.begin()
        await one.watched()

    assert set(seen) == {"none"}


async def test_a_closing_process_ends_its_watchers() -> None:
    """They are told to come again, and the study is left running for the next process."""
    one = Process(MemoryStore(), ScriptedWorkers(hang=asyncio.Event()))
    one.supervisor.begin()
    await one.begin()
    watching = asyncio.ensure_future(one.watched())
    await one.workers.called.wait()
    await one.supervisor.close()

    with pytest.raises(AssayError) as refused:
        await watching
    assert reason(refused) == "STORE_UNAVAILABLE"
    assert one.state() is StudyState.RUNNING


class StumblesOnce(MemoryStore):
    """A store whose first claim and first renewal meet a defect."""

    def __init__(self) -> None:
        super().__init__()
        self.defects = {"claim", "renew"}
        self.renewed = asyncio.Event()

    def _stumble(self, call: str) -> None:
        if call in self.defects:
            self.defects.remove(call)
            raise ZeroDivisionError(call)

    async def claim(
        self, owner: str, lease_ms: int, most: int, study_id: str | None = None
    ) -> Sequence[StudyRecord]:
        """Take free studies over, but not the first time."""
        self._stumble("claim")
        return await super().claim(owner, lease_ms, most, study_id)

    async def renew(self, leases: Sequence[Lease], lease_ms: int) -> Sequence[StudyRecord]:
        """Prolong leases, but not the first time."""
        self._stumble("renew")
        self.renewed.set()
        return await super().renew(leases, lease_ms)


async def test_a_defect_in_a_claim_or_a_renewal_ends_neither() -> None:
    """Else no study would begin again, and all of this replica would be lost to others."""
    store = StumblesOnce()
    async with process(store, ScriptedWorkers(hang=asyncio.Event())) as one:
        await one.begin()
        await one.workers.called.wait()
        await store.renewed.wait()

    assert not store.defects


class EndsMeanwhile(MemoryStore):
    """A store whose study ends between a look at its record and a look at its events."""

    def __init__(self) -> None:
        super().__init__()
        self.end: Callable[[], Awaitable[object]] | None = None

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events, once the study has ended."""
        end, self.end = self.end, None
        if end is not None:
            await end()
        return await super().events(study_id, after_number, limit)


async def test_a_watch_elsewhere_ends_though_the_study_ends_while_it_looks() -> None:
    """No event follows the last one, so that waiting for one would never end."""
    store, hang = EndsMeanwhile(), asyncio.Event()
    async with process(store, ScriptedWorkers(hang=hang)) as owner:
        await owner.begin()
        await owner.workers.called.wait()

        async def end() -> None:
            hang.set()
            await owner.watched()

        async with process(store, name="b") as other:
            store.end = end
            watching = asyncio.ensure_future(other.watched())
            for _ in range(5_000):
                await asyncio.sleep(0)
            ended = watching.done()
            watching.cancel()

    assert ended
    assert watching.result()[-1] == {"end": "SUCCEEDED"}
