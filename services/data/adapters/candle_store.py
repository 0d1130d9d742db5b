"""Datasets as Delta Lake tables: a folder or object store, versions, atomic commits.

Each table lies at {root}/{dataset}. What a dataset is (source, inventory, digest, quality) stands
in the metadata of the very commit that wrote its rows, so neither is ever seen without the other.
Writers compare and swap: a commit that somebody else has overtaken fails and is decided anew.
"""

from __future__ import annotations

import asyncio
import functools
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from pyarrow import fs

from services.common.frames import Times
from services.data.adapters.commit_notes import from_note, to_note
from services.data.adapters.store_faults import asked
from services.data.core import rows as tables
from services.data.core.catalog import COLLECTION
from services.data.core.dataset import Dataset
from services.data.core.ports import EVERYTHING, Rows, Span, StoreConflict

T = TypeVar("T")

_NOTE = "assay"
_LOG_FOLDER = "_delta_log"
_WASTE = ".deleted-"
"""Begins the names of folders on their way out; no dataset's name begins with a dot."""

_FILES_BEFORE_COMPACTION = 16
_ROWS_A_GROUP = 131_072
"""Of a Parquet file: a window costs the groups it touches, and groups are read side by side."""

_KEPT_HOURS = 24
"""How long files of older versions stay, for readers that still hold one."""


class DeltaStore:
    """`DatasetStore` on deltalake; blocking work runs in threads."""

    def __init__(self, root: str) -> None:
        """Keep tables under a folder or a URL such as "s3://bucket/assay"."""
        if "://" in root:
            self._files, self._base = fs.FileSystem.from_uri(root)
            self._root = root.rstrip("/")
        else:
            self._root = str(Path(root).absolute())
            self._files, self._base = fs.LocalFileSystem(), self._root
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Make the root, so that a store that cannot be written to is found at the start."""
        await asyncio.to_thread(self._prepare)

    def turn(self, name: str) -> asyncio.Lock:
        """Return the lock of a dataset; it is kept as long as somebody holds or awaits it."""
        lock = self._turns.get(name)
        if lock is None:
            lock = self._turns[name] = asyncio.Lock()
        return lock

    async def names(self) -> list[str]:
        """Return the names of all datasets, sorted."""
        return await asked(self._names)

    async def find(self, name: str) -> Dataset | None:
        """Return the dataset as it stands, or None."""
        return await asked(functools.partial(self._find, name))

    async def read(self, dataset: Dataset, span: Span = EVERYTHING) -> Rows:
        """Return the rows of this version in a span of time, rising; StoreConflict when gone."""
        return await asked(functools.partial(self._read, dataset, span))

    async def times_before(self, dataset: Dataset, end_ms: int) -> Times:
        """Return the times of this version before `end_ms`, rising; StoreConflict when gone."""
        return await asked(functools.partial(self._times_before, dataset, end_ms))

    async def append(self, base: Dataset, rows: Rows, described: Dataset) -> Dataset:
        """Add rows with new times to the latest version; StoreConflict when `base` is not it."""
        return await _finished(functools.partial(self._append, base, rows, described))

    async def replace(self, base: Dataset | None, rows: Rows, described: Dataset) -> Dataset:
        """Make `rows` the whole content; StoreConflict when `base` is not the latest version."""
        return await _finished(functools.partial(self._replace, base, rows, described))

    async def delete(self, name: str) -> bool:
        """Remove the table with all its versions; False where there was none."""
        return await _finished(functools.partial(self._delete, name))

    def _uri(self, name: str) -> str:
        return f"{self._root}/{name.removeprefix(COLLECTION)}"

    def _path(self, name: str) -> str:
        return f"{self._base}/{name.removeprefix(COLLECTION)}"

    def _names(self) -> list[str]:
        folders = [folder for folder in self._folders() if not folder.startswith(_WASTE)]
        logs = [f"{self._base}/{folder}/{_LOG_FOLDER}" for folder in folders]
        found = zip(folders, self._files.get_file_info(logs), strict=True)
        return sorted(
            COLLECTION + folder for folder, log in found if log.type == fs.FileType.Directory
        )

    def _find(self, name: str) -> Dataset | None:
        try:
            table = DeltaTable(self._uri(name))
            return self._described(name, table)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError, LookupError):
            # A table being deleted under our eyes is a table that is gone.
            if name not in self._names():
                return None
            raise

    def _described(self, name: str, table: DeltaTable) -> Dataset:
        # Housekeeping commits follow the one that wrote rows; they change no row.
        for commit in table.history(8):
            if _NOTE in commit:
                note = json.loads(commit[_NOTE])
                return from_note(note, name, str(table.metadata().id), commit["version"])
        raise LookupError(f"the table of {name} was not written by this service")

    def _open(self, dataset: Dataset) -> DeltaTable:
        """Open exactly the version a dataset describes."""
        try:
            table = DeltaTable(self._uri(dataset.name), version=dataset.version)
        except DeltaError as error:
            raise StoreConflict(dataset.name) from error
        if str(table.metadata().id) != dataset.table_id:
            raise StoreConflict(dataset.name)
        return table

    def _read(self, dataset: Dataset, span: Span) -> Rows:
        names = tables.column_names(dataset.interval)
        arrow = self._arrow(dataset, list(names), span)
        rows = tables.make(dataset.interval, (arrow[name].to_numpy() for name in names))
        return tables.by_time(rows)

    def _times_before(self, dataset: Dataset, end_ms: int) -> Times:
        name = tables.column_names(dataset.interval)[0]
        arrow = self._arrow(dataset, [name], Span(EVERYTHING.start_ms, end_ms))
        return np.sort(arrow[name].to_numpy().astype(np.int64, copy=False))

    def _arrow(self, dataset: Dataset, names: list[str], span: Span) -> Any:
        condition = None
        if span != EVERYTHING:
            moment = pc.field(tables.column_names(dataset.interval)[0])
            condition = (moment >= span.start_ms) & (moment < span.end_ms)
        table = self._open(dataset)
        try:
            return table.to_pyarrow_dataset().to_table(columns=names, filter=condition)
        except (FileNotFoundError, DeltaError) as error:
            raise StoreConflict(dataset.name) from error

    def _append(self, base: Dataset, rows: Rows, described: Dataset) -> Dataset:
        table = self._latest(base)
        if len(table.file_uris()) >= _FILES_BEFORE_COMPACTION:
            return self._replace(base, tables.join(self._read(base, EVERYTHING), rows), described)
        return self._commit(table, rows, described, "append")

    def _replace(self, base: Dataset | None, rows: Rows, described: Dataset) -> Dataset:
        if base is None:
            return self._create(rows, described)
        stored = self._commit(self._latest(base), rows, described, "overwrite")
        self._clean(stored)
        return stored

    def _latest(self, base: Dataset) -> DeltaTable:
        """Open the latest version; StoreConflict unless it holds what `base` describes."""
        try:
            table = DeltaTable(self._uri(base.name))
        except DeltaError as error:
            raise StoreConflict(base.name) from error
        found = self._described(base.name, table)
        if (found.table_id, found.version) != (base.table_id, base.version):
            raise StoreConflict(base.name)
        return table

    def _create(self, rows: Rows, described: Dataset) -> Dataset:
        uri = self._uri(described.name)
        try:
            _write(uri, rows, described, "error")
            table = DeltaTable(uri, version=0)
        except DeltaError as error:
            if described.name in self._names():
                raise StoreConflict(described.name) from error
            raise
        return replace(described, table_id=str(table.metadata().id), version=0)

    def _commit(
        self,
        table: DeltaTable,
        rows: Rows,
        described: Dataset,
        mode: Literal["append", "overwrite"],
    ) -> Dataset:
        # Without retries a commit is the version after the one opened, or fails.
        identity, version = str(table.metadata().id), table.version() + 1
        _write(table, rows, described, mode)
        return replace(described, table_id=identity, version=version)

    def _clean(self, dataset: Dataset) -> None:
        """Remove files that only versions older than a day need."""
        try:
            DeltaTable(self._uri(dataset.name)).vacuum(
                retention_hours=_KEPT_HOURS,
                enforce_retention_duration=False,
                dry_run=False,
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        except CommitFailedError:
            return  # somebody writes; the next replacement cleans

    def _delete(self, name: str) -> bool:
        if name not in self._names():
            return False
        if isinstance(self._files, fs.LocalFileSystem):
            # Gone in one step, so that nobody meets half a table.
            waste = f"{self._base}/{_WASTE}{uuid.uuid4().hex}"
            self._files.move(self._path(name), waste)
            self._files.delete_dir(waste)
        else:
            # Without its log a table is no table: broken off here, the rest is only litter.
            self._files.delete_dir(f"{self._path(name)}/{_LOG_FOLDER}")
            self._files.delete_dir(self._path(name))
        return True

    def _folders(self) -> list[str]:
        selector = fs.FileSelector(self._base, allow_not_found=True)
        found = self._files.get_file_info(selector)
        return [item.base_name for item in found if item.type == fs.FileType.Directory]

    def _prepare(self) -> None:
        self._files.create_dir(self._base, recursive=True)
        for folder in self._folders():
            if folder.startswith(_WASTE):
                self._files.delete_dir(f"{self._base}/{folder}")


async def _finished(work: Callable[[], T]) -> T:
    """Run work in a thread, to its end even when the call is cancelled: turns are over then."""
    writing = asyncio.ensure_future(asked(work))
    try:
        return await asyncio.shield(writing)
    finally:
        await asyncio.wait([writing])


def _write(target: str | DeltaTable, rows: Rows, described: Dataset, mode: Any) -> None:
    """Commit rows with their description; StoreConflict where somebody else was faster."""
    names = tables.column_names(described.interval)
    note = json.dumps(to_note(described), separators=(",", ":"))
    try:
        write_deltalake(
            target,
            pa.table(dict(zip(names, rows.columns(), strict=True))),
            mode=mode,
            commit_properties=CommitProperties(custom_metadata={_NOTE: note}, max_commit_retries=0),
            writer_properties=WriterProperties(max_row_group_size=_ROWS_A_GROUP),
        )
    except CommitFailedError as error:
        raise StoreConflict(described.name) from error
