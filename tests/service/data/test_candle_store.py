"""The store keeps whole versions, lets no writer overwrite another unseen, and cleans up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import deltalake
import pytest
from deltalake import DeltaTable

from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.adapters import candle_store
from services.data.adapters.candle_store import DeltaStore
from services.data.core import storing
from services.data.core.dataset import Dataset, SyntheticMarket
from services.data.core.ports import Span, StoreConflict
from services.data.core.quality import report_of
from tests.service.data.calls import HOUR, NAME, bars


def described(rows: Candles, name: str = NAME, source: str = "file") -> Dataset:
    """Describe rows."""
    interval = Interval.HOUR_1
    return storing.describe(name, source, interval, rows, report_of(rows, interval), 12_345)


@pytest.fixture
async def store(tmp_path: Path) -> DeltaStore:
    """A store in a folder of the test's own."""
    opened = DeltaStore(str(tmp_path / "datasets"))
    await opened.open()
    return opened


async def put(store: DeltaStore, rows: Candles, base: Dataset | None = None) -> Dataset:
    """Replace the content of the dataset."""
    return await store.replace(base, rows, described(rows))


async def test_what_is_known_of_a_dataset_survives_a_restart(
    store: DeltaStore, tmp_path: Path
) -> None:
    """Inventory, gaps and the fields of a made-up market stand in the commit itself."""
    rows = bars([0, 1, 5])
    wanted = replace(described(rows), synthetic=SyntheticMarket(-9, 0.1, 0.3, 7))
    stored = await store.replace(None, rows, wanted)
    again = await DeltaStore(str(tmp_path / "datasets")).find(NAME)
    assert again == stored
    assert again == replace(wanted, table_id=stored.table_id, version=stored.version)


async def test_a_folder_can_be_named_by_a_url(tmp_path: Path) -> None:
    """A store is a folder or a URL; the same code serves both."""
    store = DeltaStore(f"file://{tmp_path}/by-url")
    await store.open()
    stored = await put(store, bars(range(5)))
    assert await store.names() == [NAME]
    assert len(await store.read(stored, Span(HOUR, 3 * HOUR))) == 2
    assert await store.delete(NAME)
    assert await store.names() == []


async def test_a_version_reads_the_same_after_later_changes(store: DeltaStore) -> None:
    """A reader that holds a description gets the rows of that version."""
    first = await put(store, bars(range(10)))
    second = await put(store, bars(range(4)), first)
    await store.append(second, bars(range(4, 6)), described(bars(range(6))))
    assert (await store.read(first)).content_digest() == first.content_digest
    assert (await store.read(second)).content_digest() == second.content_digest


async def test_a_writer_who_was_overtaken_is_told(store: DeltaStore) -> None:
    """Appending, replacing and creating on an outdated view fail, and change nothing."""
    first = await put(store, bars(range(10)))
    second = await put(store, bars(range(4)), first)
    with pytest.raises(StoreConflict):
        await store.append(first, bars([11]), described(bars(range(11))))
    with pytest.raises(StoreConflict):
        await put(store, bars(range(3)), first)
    with pytest.raises(StoreConflict):
        await put(store, bars(range(3)))
    assert await store.find(NAME) == second


async def test_of_two_stores_over_one_folder_only_one_wins(
    store: DeltaStore, tmp_path: Path
) -> None:
    """Replicas that append to the same version at once: one commits, the other decides anew."""
    base = await put(store, bars(range(5)))
    stores = [DeltaStore(str(tmp_path / "datasets")) for _ in range(4)]
    whole = described(bars(range(6)))
    outcomes = await asyncio.gather(
        *(one.append(base, bars([5]), whole) for one in stores), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, Dataset)]
    assert len(won) == 1
    assert all(isinstance(outcome, Dataset | StoreConflict) for outcome in outcomes)
    assert (await store.read(won[0])).content_digest() == whole.content_digest


async def test_a_writer_is_told_of_its_own_commit_though_another_follows_at_once(
    store: DeltaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Building on a version that somebody else wrote would lose or double their rows."""
    first = await put(store, bars(range(10)))
    written = deltalake.write_deltalake

    def overtaken(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(candle_store, "write_deltalake", written)
        written(*arguments, **options)
        written(f"{tmp_path}/datasets/file.test.1h", *arguments[1:], **options)

    monkeypatch.setattr(candle_store, "write_deltalake", overtaken)
    rows = bars(range(10, 12))
    stored = await store.append(first, rows, described(bars(range(12))))
    assert stored.version == first.version + 1
    with pytest.raises(StoreConflict):
        await store.append(stored, bars([20]), described(bars([20])))


async def test_creating_at_once_creates_once(store: DeltaStore, tmp_path: Path) -> None:
    """Replicas that create the same dataset at once: one does."""
    stores = [DeltaStore(str(tmp_path / "datasets")) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(put(one, bars(range(5))) for one in stores), return_exceptions=True
    )
    assert sum(isinstance(outcome, Dataset) for outcome in outcomes) == 1
    assert all(isinstance(outcome, Dataset | StoreConflict) for outcome in outcomes)


async def test_a_deleted_dataset_is_another_one_when_it_returns(store: DeltaStore) -> None:
    """What was read before a deletion is not mistaken for what came after it."""
    first = await put(store, bars(range(5)))
    assert await store.delete(NAME)
    assert not await store.delete(NAME)
    second = await put(store, bars(range(5), price=3.0))
    assert second.version == first.version
    assert second.table_id != first.table_id
    with pytest.raises(StoreConflict):
        await store.read(first)
    with pytest.raises(StoreConflict):
        await put(store, bars(range(2)), first)


async def test_small_additions_are_gathered_in_one_file(store: DeltaStore, tmp_path: Path) -> None:
    """After many appends a table is written anew, so that reading stays fast."""
    dataset = await put(store, bars([0]))
    for hour in range(1, 20):
        whole = described(bars(range(hour + 1)))
        dataset = await store.append(dataset, bars([hour]), whole)
        assert (await store.read(dataset)).content_digest() == whole.content_digest
    assert len(DeltaTable(str(tmp_path / "datasets" / "file.test.1h")).file_uris()) < 10
    times = await store.times_before(dataset, 12 * HOUR)
    assert times.tolist() == [hour * HOUR for hour in range(12)]


async def test_a_store_that_cannot_be_written_to_is_found_at_the_start(tmp_path: Path) -> None:
    """A file where the folder should be fails at once, not with the first import."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match="taken"):
        await DeltaStore(str(tmp_path / "taken")).open()


async def test_folders_that_are_no_tables_are_left_alone(store: DeltaStore, tmp_path: Path) -> None:
    """Foreign folders are no datasets; what a broken-off deletion left is removed."""
    (tmp_path / "datasets" / "notes").mkdir()
    waste = tmp_path / "datasets" / ".deleted-1"
    (waste / "_delta_log").mkdir(parents=True)
    assert await store.names() == []
    await store.open()
    assert not waste.exists()
    assert (tmp_path / "datasets" / "notes").exists()
