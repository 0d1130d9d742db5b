"""Changing what a dataset holds: described whole, decided anew when overtaken. Pure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from services.common.errors import AssayError, Code
from services.common.intervals import Interval
from services.data.core import rows as tables
from services.data.core.dataset import Dataset, QualityReport, SyntheticMarket
from services.data.core.ports import DatasetStore, Rows, StoreConflict

ATTEMPTS = 5
"""Tries against other processes that write the same dataset before giving up."""


def describe(
    name: str,
    source: str,
    interval: Interval | None,
    rows: Rows,
    quality: QualityReport,
    update_ms: int,
    synthetic: SyntheticMarket | None = None,
) -> Dataset:
    """Describe a dataset that holds exactly these rows, at least one of them."""
    moments = tables.times(rows)
    return Dataset(
        name=name,
        source=source,
        interval=interval,
        first_ms=int(moments[0]),
        last_ms=int(moments[-1]),
        row_count=len(rows),
        update_ms=update_ms,
        content_digest=rows.content_digest(),
        quality=quality,
        synthetic=synthetic,
    )


async def find_of_source(store: DatasetStore, name: str, source: str) -> Dataset | None:
    """Return the dataset, or None where there is none.

    Raises:
        AssayError: SOURCE_MISMATCH when it came from another source.
    """
    found = await store.find(name)
    if found is not None and found.source != source:
        raise AssayError(
            Code.FAILED_PRECONDITION,
            "SOURCE_MISMATCH",
            f"{name} came from source {found.source!r}, not {source!r}; delete it first",
            metadata={"dataset": name, "source": found.source},
        )
    return found


async def replace_whole(
    store: DatasetStore,
    rows: Rows,
    describing: Callable[[], Dataset],
    suffices: Callable[[Dataset], bool] = lambda _: False,
) -> Dataset:
    """Make `rows` the whole content of the dataset, whoever else writes it.

    A dataset that stands already and `suffices`, which may also refuse it, is left as it is.

    Raises:
        AssayError: SOURCE_MISMATCH when it came from another source.
        StoreConflict: other processes wrote all the time.
    """
    described = await asyncio.to_thread(describing)
    async with store.turn(described.name):
        for _ in range(ATTEMPTS):
            base = await find_of_source(store, described.name, described.source)
            if base is not None and suffices(base):
                return base
            with contextlib.suppress(StoreConflict):
                return await store.replace(base, rows, described)
    raise StoreConflict(described.name)
