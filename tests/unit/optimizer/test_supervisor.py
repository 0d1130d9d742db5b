"""The studies of a process: started, stopped, resumed, deleted, watched, taken up again."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from services.common.errors import AssayError, unavailable
from services.optimizer.core.records import Lease, StudyRecord, StudyState
from services.optimizer.core.study import supervisor
from services.optimizer.core.study.digest import trials_digest
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.ownership import Replica
from services.optimizer.core.study.supervisor import Supervisor
from tests.unit.optimizer.in_memory import (
    ScriptedWorkers,
    TextWriter,
    TickingClock,
    data_changed,
    make_plan,
    pending,
    search_of,
    timeless,
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


async def test_a_study_runs_from_pending_to_succeeded() -> None:
    """Its record then holds times, digest and outcome, and its events end with the study."""
    async with process() as one:
        await one.begin()
        events = await one.watched()
        record = one.store.records["one"]

    assert events[0] == {"state": "RUNNING"}
    assert [event.get("generation") for event in events[1:4]] == [0, 1, 2]
    assert events[4:] == [{"end": "SUCCEEDED"}]
    assert record.state is StudyState.SUCCEEDED
    assert record.trials_digest == trials_digest(one.store.kept["one"])
    assert dict(words(record.outcome))["finished"] == 12
    assert record.start_time_ms is not None
    assert record.end_time_ms is not None
    assert record.end_time_ms > record.start_time_ms > 0


async def test_many_watchers_see_the_same_from_wherever_they_begin() -> None:
    """Old events first, then new ones; each ends after the finished study."""
    async with process() as one:
        await one.begin()
        watchers = [asyncio.ensure_future(one.watched(after=number)) for number in (0, 0, 2, 4)]
        told = await asyncio.gather(*watchers)
        late = await one.watched()
        nothing = await one.watched(after=5)

    assert told[0] == told[1] == late
    assert [len(events) for events in told] == [5, 5, 3, 1]
    assert nothing == []


async def test_a_stopped_study_resumes_as_if_it_had_never_stopped() -> None:
    """Same trials, same digest; the watcher of its second life sees it end."""
    async with process() as whole:
        await whole.begin()
        await whole.watched()
    async with process() as one:
        hang = asyncio.Event()
        one.workers.hang = hang
        await one.begin()
        await one.workers.called.wait()
        stopping = await one.supervisor.stop("one")
        again = await one.supervisor.stop("one")
        hang.set()
        first_life = await one.watched()
        stopped = one.store.records["one"]
        still = await one.supervisor.stop("one")
        resumed = await one.supervisor.resume("one")
        second_life = await one.watched(after=len(first_life))

    assert (stopping.state, again.state) == (StudyState.STOPPING, StudyState.STOPPING)
    assert first_life[-1] == {"end": "STOPPED"}
    assert stopped.trials_digest == trials_digest(one.store.kept["one"][:4])
    assert still.state is StudyState.STOPPED
    assert resumed.state is StudyState.PENDING
    assert (resumed.trials_digest, resumed.end_time_ms, resumed.outcome) == ("", None, b"")
    assert second_life[0] == {"state": "PENDING"}
    assert second_life[-1] == {"end": "SUCCEEDED"}
    assert timeless(one.store.kept["one"]) == timeless(whole.store.kept["one"])
    assert one.store.records["one"].start_time_ms == stopped.start_time_ms


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


async def test_a_succeeded_study_resumes_once_its_limits_leave_something_to_do() -> None:
    """With the trials it would have had at once."""
    async with process() as one:
        await one.store.create(replace(pending(), limits=Limits(6)), PLAN.shape)
        one.supervisor.wake()
        first_life = await one.watched()
        with pytest.raises(AssayError) as refused:
            await one.supervisor.resume("one")
        await one.supervisor.set_limits("one", Limits(12))
        await one.supervisor.resume("one")
        await one.watched(after=len(first_life))
        await one.begin("whole")
        await one.watched("whole")

    assert reason(refused) == "STUDY_STATE_WRONG"
    assert timeless(one.store.kept["one"]) == timeless(one.store.kept["whole"])
    assert one.store.records["one"].stop_reason == "TRIAL_COUNT"
    assert one.store.records["one"].trials_digest == one.store.records["whole"].trials_digest


async def test_a_study_that_a_rule_has_ended_resumes_once_its_limits_have_changed() -> None:
    """Under the same ones it would end again at once: nothing is left to do."""
    impatient = Limits(12, patience_trial_count=1)
    async with process() as one:
        await one.store.create(replace(pending(), limits=impatient), PLAN.shape)
        one.supervisor.wake()
        first_life = await one.watched()
        ended = one.store.records["one"]
        with pytest.raises(AssayError) as refused:
            await one.supervisor.resume("one")
        await one.supervisor.set_limits("one", Limits(12))
        await one.supervisor.resume("one")
        await one.watched(after=len(first_life))

    assert ended.stop_reason == "PATIENCE"
    assert reason(refused) == "STUDY_STATE_WRONG"
    assert one.store.records["one"].stop_reason == "TRIAL_COUNT"


async def test_a_refusal_fails_the_study_with_its_reason() -> None:
    """And a failed study may be resumed once the cause is gone."""
    workers = ScriptedWorkers(failures=[data_changed()])
    async with process(workers=workers) as one:
        await one.begin()
        events = await one.watched()
        failed = one.store.records["one"]
        with pytest.raises(AssayError) as refused:
            await one.supervisor.stop("one")
        await one.supervisor.resume("one")
        await one.watched(after=len(events))

    assert events[-1] == {"end": "FAILED"}
    assert words(failed.error)["reason"] == "DATASET_CHANGED"
    assert reason(refused) == "STUDY_STATE_WRONG"
    assert refused.value.metadata == {"study": "one", "state": "FAILED"}
    assert one.state() is StudyState.SUCCEEDED
    assert one.store.records["one"].error == b""


async def test_a_defect_fails_one_study_and_the_service_lives() -> None:
    """The caller learns an id that the log has; other studies run on."""
    async with process() as one:
        one.defect = ZeroDivisionError("secret")
        await one.begin("broken")
        await one.watched("broken")
        one.defect = None
        await one.begin("sound")
        await one.watched("sound")

    error = words(one.store.records["broken"].error)
    assert error["reason"] == "INTERNAL"
    assert error["metadata"] != {}
    assert one.state("broken") is StudyState.FAILED
    assert one.state("sound") is StudyState.SUCCEEDED


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


async def test_a_store_that_refuses_trials_fails_the_study() -> None:
    """Nobody claims it again and again to be refused again and again."""
    async with process() as one:

        def refuse() -> None:
            raise ValueError("not these")

        one.store.appended = refuse
        await one.begin()
        events = await one.watched()

    assert events[-1] == {"end": "FAILED"}
    assert words(one.store.records["one"].error)["reason"] == "INTERNAL"


async def persistently_watched(one: Process) -> list[dict[str, object]]:
    """Watch as clients do: again after an outage, from where they were."""
    events: list[dict[str, object]] = []
    while not events or "end" not in events[-1]:
        with suppress(AssayError):
            async for _, event in one.supervisor.watch("one", len(events)):
                events.append(dict(words(event)))
        await asyncio.sleep(0)
    return events


async def test_an_outage_at_any_write_changes_nothing() -> None:
    """The store is away at every second call: the study ends as it would have."""
    async with process() as whole:
        await whole.begin()
        await whole.watched()
    async with process() as one:
        await one.store.create(pending(), PLAN.shape)
        one.store.outage = 2

        def fail_twice() -> None:
            one.store.outage = 2

        one.store.appended = fail_twice
        one.supervisor.wake()
        events = await persistently_watched(one)

    assert one.state() is StudyState.SUCCEEDED
    assert events[-1] == {"end": "SUCCEEDED"}
    assert timeless(one.store.kept["one"]) == timeless(whole.store.kept["one"])
    assert len(one.store.log["one"]) == len(whole.store.log["one"])


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


@pytest.mark.parametrize("state", [StudyState.PENDING, StudyState.RUNNING, StudyState.STOPPING])
async def test_only_studies_at_rest_are_deleted(state: StudyState) -> None:
    """Others are refused with their state."""
    async with process() as one:
        await one.store.create(replace(pending(), state=state), PLAN.shape)
        one.store.expiry_ms["one"] = 1
        with pytest.raises(AssayError) as refused:
            await one.supervisor.delete("one")

    assert reason(refused) == "STUDY_STATE_WRONG"
    assert refused.value.metadata["state"] == state.name


async def test_a_deleted_study_is_unknown_to_everybody() -> None:
    """With the nearest name that exists."""
    async with process() as one:
        await one.begin("alpha")
        await one.begin("alphb")
        await one.watched("alpha")
        await one.watched("alphb")
        await one.supervisor.delete("alpha")
        with pytest.raises(AssayError) as refused:
            await one.watched("alpha")
        for call in (one.supervisor.record, one.supervisor.stop, one.supervisor.resume):
            with pytest.raises(AssayError, match="alpha"):
                await call("alpha")

    assert reason(refused) == "STUDY_UNKNOWN"
    assert refused.value.metadata == {"study": "alpha", "nearest": "alphb"}


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (StudyState.SUCCEEDED, "STUDY_STATE_WRONG"),
        (StudyState.STOPPING, "STUDY_STATE_WRONG"),
    ],
)
async def test_what_cannot_be_resumed_is_refused(state: StudyState, wanted: str) -> None:
    """Finished studies and those still stopping."""
    async with process() as one:
        await one.store.create(replace(pending(), state=state), PLAN.shape)
        with pytest.raises(AssayError) as refused:
            await one.supervisor.resume("one")

    assert reason(refused) == wanted


async def test_resuming_a_running_study_leaves_it_alone() -> None:
    """It is the same life that goes on."""
    async with process() as one:
        one.workers.hang = asyncio.Event()
        await one.begin()
        await one.workers.called.wait()
        resumed = await one.supervisor.resume("one")
        one.workers.hang.set()
        events = await one.watched()

    assert resumed.state is StudyState.RUNNING
    assert {"state": "PENDING"} not in events


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


@asynccontextmanager
async def stopped() -> AsyncIterator[Process]:
    """Run a process with a study that was stopped before its first generation."""
    async with process() as one:
        await one.store.create(replace(pending(), state=StudyState.STOPPED), PLAN.shape)
        yield one


async def test_a_resume_whose_caller_has_gone_takes_place() -> None:
    """Whoever asks next finds the study running, not waiting for nobody."""
    async with stopped() as one:
        one.store.gate.clear()
        resuming = asyncio.ensure_future(one.supervisor.resume("one"))
        await asyncio.sleep(0)
        resuming.cancel()
        one.store.gate.set()
        await asyncio.wait({resuming})
        events = await one.watched()

    assert events[-1] == {"end": "SUCCEEDED"}


async def test_a_resume_whose_answer_was_lost_takes_place_when_somebody_asks() -> None:
    """The store keeps PENDING without the service hearing of it."""
    async with stopped() as one:
        one.store.lost_answers = 1
        with pytest.raises(AssayError, match="answer lost"):
            await one.supervisor.resume("one")
        assert one.state() is StudyState.PENDING
        await one.supervisor.record("one")
        await one.watched()

    assert one.state() is StudyState.SUCCEEDED


async def test_a_caller_does_not_wait_for_ever_for_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told that the store does not answer; the stop comes when the store is back."""
    monkeypatch.setattr(supervisor, "STORE_PATIENCE_SECONDS", 0.01)
    hang = asyncio.Event()
    async with process(workers=ScriptedWorkers(hang=hang)) as one:
        await one.begin()
        await one.workers.called.wait()
        one.store.gate.clear()
        with pytest.raises(AssayError) as refused:
            await one.supervisor.stop("one")
        one.store.gate.set()
        hang.set()
        events = await one.watched()

    assert reason(refused) == "STORE_UNAVAILABLE"
    assert events[-1] == {"end": "STOPPED"}


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


async def test_watching_leaves_nothing_behind() -> None:
    """Neither watches of finished studies nor of those that never were."""
    async with process() as one:
        await one.begin()
        await one.watched()
        for name in ("one", "other", "another"):
            with suppress(AssayError):
                await one.watched(name)
        left = dict(one.supervisor._signals._signals)

    assert left == {}
