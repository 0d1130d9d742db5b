"""Replicas share studies by leases: one owner at a time, and no write of an earlier one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.optimizer.adapters.store.database import Database
from services.optimizer.adapters.store.database_clock import NowMs
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Lease, LeaseLostError, StudyState


async def test_two_replicas_never_claim_the_same_study(
    store: OptunaStore, cases: Any, database_url: str
) -> None:
    """Two that claim at once until nothing is left share all studies, each with epoch 1."""
    wanted = {f"study-{number}" for number in range(24)}
    for study_id in wanted:
        await store.create(cases.record(study_id), cases.shape)
    other = await OptunaStore.open(database_url)
    claimed: list[str] = []
    while len(claimed) < len(wanted):
        both = await asyncio.gather(
            store.claim("one", cases.long_ms, 3), other.claim("two", cases.long_ms, 3)
        )
        for owner, records in zip(("one", "two"), both, strict=True):
            assert all((one.owner, one.lease_epoch) == (owner, 1) for one in records)
            claimed += [one.study_id for one in records]
        assert any(both)
    await other.close()
    assert sorted(claimed) == sorted(wanted)
    assert await store.claim("three", cases.long_ms, 99) == []


async def test_the_oldest_waiting_studies_are_claimed_first(store: OptunaStore, cases: Any) -> None:
    """At most as many as asked for; one study alone when it is named."""
    for study_id, time_ms in (("new", 30), ("old", 10), ("twin", 20), ("middle", 20)):
        await store.create(cases.record(study_id, create_time_ms=time_ms), cases.shape)
    first = await store.claim("one", cases.long_ms, 3)
    assert [record.study_id for record in first] == ["old", "twin", "middle"]
    assert await store.claim("one", cases.long_ms, 3, "old") == []
    (last,) = await store.claim("one", cases.long_ms, 3, "new")
    assert last == cases.record("new", create_time_ms=30, owner="one", lease_epoch=1)


async def test_only_unfinished_studies_are_claimed(store: OptunaStore, cases: Any) -> None:
    """What waits, runs or stops wants an owner; what has ended wants none."""
    for state in StudyState:
        await store.create(cases.record(state.name.lower(), state=state), cases.shape)
    claimed = await store.claim("one", cases.long_ms, 99)
    assert [record.study_id for record in claimed] == ["pending", "running", "stopping"]


async def test_a_lease_that_has_run_out_is_taken_and_no_other(
    store: OptunaStore, cases: Any
) -> None:
    """The next owner has the next epoch; an owner does not claim what it has."""
    await store.create(cases.record(), cases.shape)
    assert len(await store.claim("one", 0, 1)) == 1
    (second,) = await store.claim("two", cases.long_ms, 1)
    assert (second.owner, second.lease) == ("two", Lease("first", 2))
    assert await store.claim("one", cases.long_ms, 1) == []
    assert await store.claim("two", cases.long_ms, 1) == []
    assert await store.get("first") == second


async def test_an_owner_whose_lease_was_taken_writes_nothing(
    store: OptunaStore, cases: Any
) -> None:
    """Trials, events, states and the ledger are the next owner's alone."""
    await store.create(cases.record(), cases.shape)
    (earlier,) = await store.claim("one", 0, 1)
    await store.append(earlier.lease, cases.generations(0, 8), 3)
    (later,) = await store.claim("two", cases.long_ms, 1)
    ended = replace(earlier, state=StudyState.SUCCEEDED)
    for write in (
        store.append(earlier.lease, cases.generations(8, 8), 4),
        store.append(earlier.lease, [], 5),
        store.update(ended, [b"ended"], {StudyState.PENDING}, earlier.lease),
    ):
        with pytest.raises(LeaseLostError):
            await write
    assert await store.renew([earlier.lease], cases.long_ms) == []
    await store.release([earlier.lease])
    assert await store.get("first") == later
    assert await store.trials("first") == cases.trials(0, 8)
    assert await store.events("first", 0, 9) == [(1, b"generation 0")]
    (entry,) = await store.ledger(9, 0)
    assert entry.trial_count == 8
    await store.append(later.lease, cases.generations(8, 8), 6)
    assert await store.trials("first") == cases.trials(0, 16)


async def test_takeovers_during_appends_lose_and_double_nothing(
    store: OptunaStore, cases: Any, database_url: str
) -> None:
    """Whoever's append comes first, each trial is stored once and by an owner of its time."""
    await store.create(cases.record(), cases.shape)
    other = await OptunaStore.open(database_url)
    (held,) = await store.claim("one", 0, 1)
    for first in range(0, 80, 8):
        generation = cases.generations(first, 8)
        told, claimed = await asyncio.gather(
            store.append(held.lease, generation, first),
            other.claim("two", 0, 1),
            return_exceptions=True,
        )
        assert not isinstance(claimed, BaseException)
        if isinstance(told, BaseException):
            assert isinstance(told, LeaseLostError)
        # PostgreSQL skips a study that is just being written.
        (held,) = claimed or await store.claim("two", 0, 1)
        await store.append(held.lease, generation, first)
    await other.close()
    assert await store.trials("first") == cases.trials(0, 80)
    assert len(await store.events("first", 0, 99)) == 10


async def test_renewing_prolongs_what_nobody_took(store: OptunaStore, cases: Any) -> None:
    """Also a lease that has run out; the answer has the studies as they are now."""
    for study_id in ("first", "second"):
        await store.create(cases.record(study_id), cases.shape)
    records = await store.claim("one", 0, 2)
    (taken,) = await store.claim("two", cases.long_ms, 1, "second")
    (renewed,) = await store.renew([record.lease for record in records], cases.long_ms)
    assert renewed == records[0]
    assert await store.claim("two", cases.long_ms, 9) == []
    stopping = replace(renewed, state=StudyState.STOPPING)
    await store.update(stopping, [], {StudyState.PENDING}, None)
    leases = [taken.lease, renewed.lease, Lease("none", 1)]
    assert await store.renew(leases, cases.long_ms) == [taken, stopping]
    assert await store.renew([], cases.long_ms) == []


async def test_a_released_study_is_taken_at_once(store: OptunaStore, cases: Any) -> None:
    """Nobody waits for a lease that was given up, and its owner is not the owner any more."""
    lease = await cases.begin(store)
    await store.release([lease])
    assert await store.get("first") == cases.record(lease_epoch=1)
    assert await store.renew([lease], cases.long_ms) == []
    (taken,) = await store.claim("two", cases.long_ms, 1)
    assert (taken.owner, taken.lease_epoch) == ("two", 2)
    await store.release([])


async def test_an_ended_study_has_no_lease_and_a_resumed_one_waits(
    store: OptunaStore, cases: Any
) -> None:
    """A final state gives the lease up but remembers the owner; PENDING has none."""
    lease = await cases.begin(store)
    ended = cases.record(state=StudyState.STOPPED)
    for _ in range(2):
        assert await store.update(ended, [b"ended"], {StudyState.PENDING}, lease)
    assert await store.get("first") == replace(ended, owner="one", lease_epoch=1)
    assert await store.renew([lease], cases.long_ms) == []
    assert await store.claim("two", cases.long_ms, 1) == []
    assert await store.update(cases.record(), [], {StudyState.STOPPED}, None)
    assert await store.get("first") == cases.record(lease_epoch=1)
    (taken,) = await store.claim("two", cases.long_ms, 1)
    assert taken.lease_epoch == 2


async def test_leases_run_by_milliseconds_since_the_epoch(
    store: OptunaStore, database_url: str
) -> None:
    """The database's clock counts what this machine's, on which it runs, counts."""
    database = Database(database_url)
    before_ms = time.time_ns() // 1_000_000
    with database.reading() as connection:
        now_ms = connection.execute(sa.select(NowMs())).scalar_one()
    after_ms = time.time_ns() // 1_000_000
    database.close()
    assert before_ms - 1 <= now_ms <= after_ms + 1
