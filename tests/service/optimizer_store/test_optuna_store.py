"""Studies, trials and events survive the store bit by bit, and repeated calls change nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from services.common.errors import AssayError, Code
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import LedgerKey, StudyRecord, StudyState
from services.optimizer.core.study.limits import Limits

RUNNING = StudyState.RUNNING


async def run(store: OptunaStore, record: StudyRecord) -> None:
    """Let a waiting study run."""
    running = replace(record, state=RUNNING)
    assert await store.update(running, [], {StudyState.PENDING}, None)


async def end(store: OptunaStore, record: StudyRecord) -> None:
    """End a study in whatever state."""
    ended = replace(record, state=StudyState.SUCCEEDED)
    assert await store.update(ended, [], set(StudyState), None)


async def test_trials_come_back_bit_by_bit_in_order(store: OptunaStore, cases: Any) -> None:
    """Types, floats to the last bit and the order of parameters are as they were appended."""
    written = cases.trials(0, 140)
    lease = await cases.begin(store)
    for first in range(0, 140, 20):
        await store.append(lease, cases.generations(first, 20), first)
    read = await store.trials("first")
    assert read == written
    assert repr(read) == repr(written)


async def test_a_new_study_has_no_trials_and_no_events(store: OptunaStore, cases: Any) -> None:
    """Reading what is not there yet, or a study that is not there, gives nothing."""
    await store.create(cases.record(), cases.shape)
    for study_id in ("first", "none"):
        assert await store.trials(study_id) == []
        assert await store.events(study_id, 0, 10) == []
    assert await store.get("none") is None
    assert await store.find_request("none") is None
    assert await store.find_request("") is None


async def test_a_record_comes_back_as_it_was(store: OptunaStore, cases: Any) -> None:
    """Every field survives creation and update, unset ones included."""
    bare = cases.record("bare", warnings=(), limits=Limits(1), ledger_key=LedgerKey("", ""))
    await store.create(bare, cases.shape)
    assert await store.get("bare") == bare
    created = cases.record()
    await store.create(created, cases.shape)
    assert await store.get("first") == created
    assert await store.find_request("request of first") == created
    finished = replace(
        created,
        state=StudyState.FAILED,
        start_time_ms=1,
        end_time_ms=2**50,
        error=b"\x01\x00",
        trials_digest="f" * 64,
        outcome=b"\x00\x02",
        stop_reason="PATIENCE",
    )
    assert await store.update(finished, [], {StudyState.PENDING}, None)
    assert await store.get("first") == finished


async def test_studies_are_listed_newest_first(store: OptunaStore, cases: Any) -> None:
    """Pages follow the time of creation downwards; equal times keep the order of creation."""
    for place, study_id in enumerate(["old", "middle", "twin", "new"]):
        time_ms = (10, 20, 20, 30)[place]
        await store.create(cases.record(study_id, create_time_ms=time_ms), cases.shape)
    await run(store, cases.record("middle", create_time_ms=20))
    listed = [record.study_id for record in await store.list(10, 0, None)]
    assert listed == ["new", "twin", "middle", "old"]
    assert [record.study_id for record in await store.list(2, 1, None)] == ["twin", "middle"]
    running = await store.list(10, 0, StudyState.RUNNING)
    assert [record.study_id for record in running] == ["middle"]


async def test_a_taken_id_or_request_is_refused(store: OptunaStore, cases: Any) -> None:
    """Another study of the same id or request is STUDY_EXISTS and changes nothing."""
    await store.create(cases.record(), cases.shape)
    for taken in (
        cases.record(request_id="another", request_digest="x"),
        cases.record("second", request_id="request of first"),
    ):
        with pytest.raises(AssayError) as refused:
            await store.create(taken, cases.shape)
        assert (refused.value.code, refused.value.reason) == (Code.ALREADY_EXISTS, "STUDY_EXISTS")
        assert refused.value.metadata == {"study": "first"}
    assert await store.list(10, 0, None) == [cases.record()]


async def test_studies_without_a_request_id_do_not_collide(store: OptunaStore, cases: Any) -> None:
    """An empty request id is no id."""
    await store.create(cases.record("one", request_id=""), cases.shape)
    await store.create(cases.record("two", request_id=""), cases.shape)
    assert len(await store.list(10, 0, None)) == 2


async def test_creating_again_after_a_lost_answer_is_harmless(
    store: OptunaStore, cases: Any
) -> None:
    """The same call finds its own study, even when that has moved on."""
    await store.create(cases.record(), cases.shape)
    await run(store, cases.record())
    await store.create(cases.record(), cases.shape)
    assert await store.get("first") == cases.record(state=StudyState.RUNNING)


async def test_an_id_taken_by_a_study_of_other_tools_is_refused(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """A study that someone made with Optuna alone is left alone."""
    optuna.create_study(storage=optuna_storage(), study_name="first")
    with pytest.raises(AssayError, match="exists already"):
        await store.create(cases.record(), cases.shape)
    assert await store.get("first") is None


async def test_a_deleted_study_leaves_nothing_and_its_neighbour_everything(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """Deleting takes Optuna's rows too; the id can be used again."""
    for study_id in ("first", "second"):
        lease = await cases.begin(store, study_id)
        await store.append(lease, cases.generations(0, 16), 1)
        await end(store, cases.record(study_id))
    assert await store.delete("first")
    assert not await store.delete("first")
    assert await store.get("first") is None
    assert [record.study_id for record in await store.list(10, 0, None)] == ["second"]
    assert optuna.get_all_study_names(optuna_storage()) == ["second"]
    await store.create(cases.record(), cases.shape, cases.trials(0, 2))
    assert await store.trials("first") == []
    assert len(await store.table("first")) == 0
    assert await store.events("first", 0, 10) == []
    assert await store.trials("second") == cases.trials(0, 16)
    assert len(await store.table("second")) == 16


async def test_only_an_ended_study_is_deleted(store: OptunaStore, cases: Any) -> None:
    """One that waits, runs or stops is refused, and all of it stays."""
    lease = await cases.begin(store)
    await store.append(lease, cases.generations(0, 8), 1)
    for state in (StudyState.PENDING, RUNNING, StudyState.STOPPING):
        await store.update(cases.record(state=state), [], set(StudyState), None)
        with pytest.raises(AssayError) as refused:
            await store.delete("first")
        assert refused.value.reason == "STUDY_STATE_WRONG"
        assert await store.trials("first") == cases.trials(0, 8)
    await end(store, cases.record())
    assert await store.delete("first")


async def test_a_study_that_optuna_deleted_can_still_be_deleted(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """Optuna's tools know nothing of our tables; what they leave can be removed."""
    lease = await cases.begin(store)
    await store.append(lease, cases.generations(0, 8), 1)
    await end(store, cases.record())
    optuna.delete_study(study_name="first", storage=optuna_storage())
    assert await store.trials("first") == []
    assert len(await store.table("first")) == 0
    assert await store.delete("first")
    assert await store.get("first") is None


async def test_a_running_study_that_optuna_deleted_comes_to_an_end(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """Its trials are refused; what it has come to is written, and then it can be deleted."""
    lease = await cases.begin(store)
    await store.append(lease, cases.generations(0, 8), 1)
    optuna.delete_study(study_name="first", storage=optuna_storage())
    with pytest.raises(AssayError, match="no study is called"):
        await store.append(lease, cases.generations(8, 8), 2)
    failed = cases.record(state=StudyState.FAILED)
    assert await store.update(failed, [b"end"], set(StudyState), lease)
    assert await store.delete("first")


async def test_trials_of_others_come_back_bit_by_bit(store: OptunaStore, cases: Any) -> None:
    """What a study learns from is kept with it, in order, and no trial of its own."""
    priors = [*cases.trials(30, 30), *cases.trials(0, 10)]
    await store.create(cases.record(), cases.shape, priors)
    await store.create(cases.record("second"), cases.shape)
    read = await store.priors("first")
    assert read == priors
    assert repr(read) == repr(priors)
    assert await store.trials("first") == []
    assert await store.priors("second") == []


async def test_stores_that_start_together_make_the_tables_once(database_url: str) -> None:
    """Replicas that open an empty database at the same moment all come up."""
    count = 1 if database_url.startswith("sqlite") else 4
    opened = await asyncio.gather(*(OptunaStore.open(database_url) for _ in range(count)))
    for store in opened:
        assert await store.list(1, 0, None) == []
        await store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
async def test_databases_that_cannot_keep_studies_are_refused(url: str) -> None:
    """Neither a database in memory nor one of another kind is opened."""
    with pytest.raises(ValueError, match="studies are kept in"):
        await OptunaStore.open(url)


async def test_a_store_is_there_again_after_closing(cases: Any, tmp_path: Path) -> None:
    """A second process finds what the first one stored."""
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    first = await OptunaStore.open(url)
    lease = await cases.begin(first)
    await first.append(lease, cases.generations(0, 8), 1)
    await first.close()
    second = await OptunaStore.open(url)
    assert await second.trials("first") == cases.trials(0, 8)
    assert await second.events("first", 0, 9) == [(1, b"generation 0")]
    await second.close()
