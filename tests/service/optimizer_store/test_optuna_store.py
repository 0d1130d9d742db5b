"""Studies, trials and events survive the store bit by bit, and repeated calls change nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from services.common.errors import AssayError, Code
from services.optimizer.adapters.optuna_store import OptunaStore
from services.optimizer.core.ports import StudyState


async def test_trials_come_back_bit_by_bit_in_order(store: OptunaStore, cases: Any) -> None:
    """Types, floats to the last bit and the order of parameters are as they were appended."""
    written = cases.trials(0, 140)
    await store.create(cases.record(), cases.shape)
    for first in range(0, 140, 8):
        await store.append_generation("first", written[first : first + 8], [])
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
    created = cases.record()
    await store.create(created, cases.shape)
    assert await store.get("first") == created
    assert await store.find_request("request of first") == created
    finished = replace(
        created,
        state=StudyState.FAILED,
        warnings=(),
        start_time_ms=1,
        end_time_ms=2**50,
        error=b"\x01\x00",
        trials_digest="f" * 64,
        outcome=b"\x00\x02",
    )
    await store.update(finished)
    assert await store.get("first") == finished


async def test_studies_are_listed_newest_first(store: OptunaStore, cases: Any) -> None:
    """Pages follow the time of creation downwards; equal times keep the order of creation."""
    for place, study_id in enumerate(["old", "middle", "twin", "new"]):
        time_ms = (10, 20, 20, 30)[place]
        await store.create(cases.record(study_id, create_time_ms=time_ms), cases.shape)
    await store.update(cases.record("middle", create_time_ms=20, state=StudyState.RUNNING))
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
    running = cases.record(state=StudyState.RUNNING)
    await store.update(running)
    await store.create(cases.record(), cases.shape)
    assert await store.get("first") == running


async def test_an_id_taken_by_a_study_of_other_tools_is_refused(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """A study that someone made with Optuna alone is left alone."""
    optuna.create_study(storage=optuna_storage(), study_name="first")
    with pytest.raises(AssayError, match="exists already"):
        await store.create(cases.record(), cases.shape)
    assert await store.get("first") is None


async def test_a_repeated_generation_is_stored_once(store: OptunaStore, cases: Any) -> None:
    """Trials and events of a generation that is there are neither changed nor doubled."""
    await store.create(cases.record(), cases.shape)
    for _ in range(2):
        await store.append_generation("first", cases.trials(0, 8), [b"one", b"two"])
    await store.append_generation("first", cases.trials(4, 8), [b"three"])
    assert await store.trials("first") == cases.trials(0, 12)
    assert await store.events("first", 0, 10) == [(1, b"one"), (2, b"two"), (3, b"three")]


async def test_a_hole_in_the_numbers_stores_nothing(store: OptunaStore, cases: Any) -> None:
    """Trials that do not follow the stored ones are a defect, and nothing of the call is kept."""
    await store.create(cases.record(), cases.shape)
    for wrong in (cases.trials(1, 8), [*cases.trials(0, 4), *cases.trials(5, 3)]):
        with pytest.raises(ValueError, match="must go on with number 0"):
            await store.append_generation("first", wrong, [b"event"])
    assert await store.trials("first") == []
    assert await store.events("first", 0, 10) == []


async def test_events_are_numbered_without_holes(store: OptunaStore, cases: Any) -> None:
    """Events of updates and of generations share one numbering from 1, read in pages."""
    await store.create(cases.record(), cases.shape)
    await store.update(cases.record(state=StudyState.RUNNING), [b"running"])
    await store.append_generation("first", cases.trials(0, 8), [b"generation"])
    await store.append_generation("first", [], [b"note"])
    for _ in range(2):
        await store.update(cases.record(state=StudyState.SUCCEEDED), [b"state", b"finished"])
    assert await store.events("first", 0, 3) == [(1, b"running"), (2, b"generation"), (3, b"note")]
    assert await store.events("first", 3, 9) == [(4, b"state"), (5, b"finished")]
    assert await store.events("first", 5, 9) == []


async def test_writing_to_an_unknown_study_is_told(store: OptunaStore, cases: Any) -> None:
    """Updates and generations of a study that is not there are NOT_FOUND/STUDY_UNKNOWN."""
    for write in (
        store.update(cases.record("none"), [b"event"]),
        store.append_generation("none", cases.trials(0, 1), []),
    ):
        with pytest.raises(AssayError) as refused:
            await write
        assert (refused.value.code, refused.value.reason) == (Code.NOT_FOUND, "STUDY_UNKNOWN")


async def test_a_deleted_study_leaves_nothing_and_its_neighbour_everything(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """Deleting takes Optuna's rows too; the id can be used again."""
    for study_id in ("first", "second"):
        await store.create(cases.record(study_id), cases.shape)
        await store.append_generation(study_id, cases.trials(0, 16), [b"event"])
    assert await store.delete("first")
    assert not await store.delete("first")
    assert await store.get("first") is None
    assert [record.study_id for record in await store.list(10, 0, None)] == ["second"]
    assert optuna.get_all_study_names(optuna_storage()) == ["second"]
    await store.create(cases.record(), cases.shape)
    assert await store.trials("first") == []
    assert await store.events("first", 0, 10) == []
    assert await store.trials("second") == cases.trials(0, 16)


async def test_a_study_that_optuna_deleted_can_still_be_deleted(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """Optuna's tools know nothing of our tables; what they leave can be removed."""
    await store.create(cases.record(), cases.shape)
    await store.append_generation("first", cases.trials(0, 8), [])
    optuna.delete_study(study_name="first", storage=optuna_storage())
    assert await store.trials("first") == []
    assert await store.delete("first")
    assert await store.get("first") is None


async def test_two_writers_of_one_study_never_number_twice(
    store: OptunaStore, cases: Any, database_url: str
) -> None:
    """Two services that append the same generations at once store each of them once."""
    await store.create(cases.record(), cases.shape)
    other = await OptunaStore.open(database_url)
    for first in range(0, 80, 8):
        generation = cases.trials(first, 8)
        await asyncio.gather(
            *(
                writer.append_generation("first", generation, [str(first).encode()])
                for writer in (store, other)
            )
        )
    await other.close()
    assert await store.trials("first") == cases.trials(0, 80)
    assert [number for number, _ in await store.events("first", 0, 99)] == list(range(1, 11))


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
    await first.create(cases.record(), cases.shape)
    await first.append_generation("first", cases.trials(0, 8), [b"event"])
    await first.close()
    second = await OptunaStore.open(url)
    assert await second.trials("first") == cases.trials(0, 8)
    assert await second.events("first", 0, 9) == [(1, b"event")]
    await second.close()
