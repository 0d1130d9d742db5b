"""The studies of a process: started, stopped, deleted, watched."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from services.common.errors import AssayError
from services.optimizer.core.records import StudyState
from services.optimizer.core.study import supervisor, turnstile
from services.optimizer.core.study.digest import trials_digest
from tests.unit.optimizer.in_memory import (
    ScriptedWorkers,
    data_changed,
    pending,
    timeless,
    words,
)
from tests.unit.optimizer.process import PLAN, Process, process, reason


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


async def test_a_crowd_reads_a_log_longer_than_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Page by page, each of those who were let go together at its own place."""
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 3_600.0)
    async with process() as one, asyncio.timeout(60):
        await one.begin()
        await one.watched()
        log = one.store.log["one"]
        log[1:1] = [log[1]] * 1_000
        told = await asyncio.gather(*(one.watched() for _ in range(50)))

    assert [len(events) for events in told] == [1_005] * 50


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


async def test_watching_leaves_nothing_behind() -> None:
    """Neither watches of finished studies nor of those that never were."""
    async with process() as one:
        await one.begin()
        await one.watched()
        for name in ("one", "other", "another"):
            with suppress(AssayError):
                await one.watched(name)
        async with asyncio.timeout(10):
            # What has read for the last one ends in one of its next turns.
            while one.supervisor._watches._chronicles:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0)
