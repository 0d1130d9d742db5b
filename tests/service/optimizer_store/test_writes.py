"""Appends and updates: whole or not at all, once however often repeated, and only where allowed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.common.errors import AssayError, Code
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation, Lease, Standing, StudyState
from services.optimizer.core.study.limits import Limits

RUNNING = StudyState.RUNNING


async def test_a_repeated_append_is_stored_once(store: OptunaStore, cases: Any) -> None:
    """Trials and events of generations that are there are neither changed nor doubled."""
    lease = await cases.begin(store)
    for _ in range(2):
        await store.append(lease, cases.generations(0, 16), 7)
    one, two = b"generation 0", b"generation 8"
    assert await store.trials("first") == cases.trials(0, 16)
    assert await store.events("first", 0, 10) == [(1, one), (2, two)]
    # A retry that has grown meanwhile: one generation is there, one in part, one not at all.
    grown = [*cases.generations(8, 8), Generation(cases.trials(12, 8), [b"late"])]
    for _ in range(2):
        await store.append(lease, [*grown, *cases.generations(20, 3)], 9)
    assert await store.trials("first") == cases.trials(0, 23)
    assert len(await store.table("first")) == 23
    assert await store.events("first", 2, 10) == [(3, b"late"), (4, b"generation 20")]
    (entry,) = await store.ledger(9, 0)
    assert entry.trial_count == 23
    stored = await store.get("first")
    assert stored is not None
    assert stored.elapsed_ms == 9


async def test_time_and_events_are_stored_without_trials(store: OptunaStore, cases: Any) -> None:
    """An append without trials tells the time and its events, and its repetition only once."""
    lease = await cases.begin(store)
    for _ in range(2):
        await store.append(lease, [Generation((), [b"note"])], 5)
    await store.append(lease, [], 6)
    stored = await store.get("first")
    assert stored is not None
    assert stored.elapsed_ms == 6
    assert await store.events("first", 0, 10) == [(1, b"note")]


async def test_a_hole_in_the_numbers_stores_nothing(store: OptunaStore, cases: Any) -> None:
    """Trials that do not follow the stored ones are a defect, and nothing of the call is kept."""
    lease = await cases.begin(store)
    for wrong in (cases.generations(1, 8), [*cases.generations(0, 4), *cases.generations(5, 3)]):
        with pytest.raises(ValueError, match="must go on with number 0"):
            await store.append(lease, wrong, 1)
    assert await store.trials("first") == []
    assert await store.events("first", 0, 10) == []
    assert await store.ledger(9, 0) == []


async def test_events_are_numbered_without_holes(store: OptunaStore, cases: Any) -> None:
    """Events of updates and of generations share one numbering from 1, read in pages."""
    lease = await cases.begin(store)
    running, ended = (cases.record(state=state) for state in (RUNNING, StudyState.SUCCEEDED))
    await store.update(running, [b"running"], {StudyState.PENDING}, lease)
    await store.append(lease, [Generation(cases.trials(0, 8), [b"generation"])], 1)
    await store.append(lease, [Generation((), [b"note"])], 2)
    for _ in range(2):
        assert await store.update(ended, [b"state", b"finished"], {RUNNING}, lease)
    assert await store.events("first", 0, 3) == [(1, b"running"), (2, b"generation"), (3, b"note")]
    assert await store.events("first", 3, 9) == [(4, b"state"), (5, b"finished")]
    assert await store.events("first", 5, 9) == []


async def test_an_update_is_written_in_an_expected_state_only(
    store: OptunaStore, cases: Any
) -> None:
    """Another state is told by False and nothing changes; a repetition is told as written."""
    lease = await cases.begin(store)
    stopping = cases.record(state=StudyState.STOPPING)
    assert not await store.update(stopping, [b"stop"], {RUNNING}, None)
    assert await store.events("first", 0, 9) == []
    running = cases.record(state=RUNNING, start_time_ms=5)
    assert await store.update(running, [b"run"], {StudyState.PENDING}, lease)
    # The same again, after a lost answer; then somebody else's, who was late.
    assert await store.update(running, [b"run"], {StudyState.PENDING}, lease)
    assert not await store.update(running, [b"run by another"], {StudyState.PENDING}, None)
    stored = await store.get("first")
    assert stored == replace(running, owner="one", lease_epoch=1)
    assert await store.events("first", 0, 9) == [(1, b"run")]


async def test_of_two_who_change_a_state_one_is_told_no(
    store: OptunaStore, cases: Any, database_url: str
) -> None:
    """Two replicas that resume a study at once are told apart, whichever is first."""
    other = await OptunaStore.open(database_url)
    for study_id in map(str, range(10)):
        await store.create(cases.record(study_id, state=StudyState.STOPPED), cases.shape)
        pending = cases.record(study_id)
        told = await asyncio.gather(
            *(
                replica.update(pending, [event], {StudyState.STOPPED}, None)
                for replica, event in ((store, b"mine"), (other, b"theirs"))
            )
        )
        assert sorted(told) == [False, True]
        event = b"mine" if told[0] else b"theirs"
        assert await store.events(study_id, 0, 9) == [(1, event)]
    await other.close()


async def test_an_update_leaves_alone_what_is_not_its_own(store: OptunaStore, cases: Any) -> None:
    """Limits, time and lease change by their own calls, whatever the updated record says."""
    lease = await cases.begin(store)
    limits = Limits(5, patience_trial_count=3)
    changed = await store.set_limits("first", limits)
    assert changed.limits == limits
    await store.append(lease, [], 77)
    stale = cases.record(state=RUNNING, elapsed_ms=1, owner="who", lease_epoch=9)
    await store.update(stale, [], {StudyState.PENDING}, lease)
    stored = await store.get("first")
    assert stored is not None
    assert (stored.limits, stored.elapsed_ms, stored.owner, stored.lease) == (
        limits,
        77,
        "one",
        lease,
    )


async def test_an_append_tells_what_others_have_changed(store: OptunaStore, cases: Any) -> None:
    """The standing an owner gets with each append has the limits and the state of now."""
    lease = await cases.begin(store)
    await store.update(cases.record(state=RUNNING), [], {StudyState.PENDING}, lease)
    standing = await store.append(lease, cases.generations(0, 8), 1)
    assert standing == Standing(RUNNING, cases.record().limits)
    await store.set_limits("first", Limits(16))
    await store.update(cases.record(state=StudyState.STOPPING), [b"stop"], {RUNNING}, None)
    standing = await store.append(lease, cases.generations(8, 8), 2)
    assert standing == Standing(StudyState.STOPPING, Limits(16))


async def test_writing_to_an_unknown_study_is_told(store: OptunaStore, cases: Any) -> None:
    """Every change of a study that is not there is NOT_FOUND/STUDY_UNKNOWN."""
    for write in (
        store.update(cases.record("none"), [b"event"], {StudyState.PENDING}, None),
        store.append(Lease("none", 1), cases.generations(0, 1), 1),
        store.set_limits("none", Limits(1)),
    ):
        with pytest.raises(AssayError) as refused:
            await write
        assert (refused.value.code, refused.value.reason) == (Code.NOT_FOUND, "STUDY_UNKNOWN")


async def test_two_writers_of_one_study_never_number_twice(
    store: OptunaStore, cases: Any, database_url: str
) -> None:
    """Two calls that append the same generations at once store each of them once."""
    lease = await cases.begin(store)
    other = await OptunaStore.open(database_url)
    for first in range(0, 80, 8):
        generation = cases.generations(first, 8)
        await asyncio.gather(*(one.append(lease, generation, first) for one in (store, other)))
    await other.close()
    assert await store.trials("first") == cases.trials(0, 80)
    assert [number for number, _ in await store.events("first", 0, 99)] == list(range(1, 11))
