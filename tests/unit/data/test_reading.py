"""Frames are read once, forgotten when memory is short, and read again when overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.common.errors import AssayError
from services.common.frames import Candles, Times
from services.common.intervals import Interval
from services.data.core import storing
from services.data.core.dataset import Dataset, QualityReport
from services.data.core.ports import EVERYTHING, Rows, Span, StoreConflict
from services.data.core.reading import FrameReader, Wanted

NAME = "datasets/file.x.1h"


class OneDataset:
    """A store of one dataset that counts how often it is read.

    Attributes:
        reads: Reads so far.
        conflicts: How many of the next reads find their version gone.
    """

    def __init__(self, rows: Candles) -> None:
        self._rows = rows
        self.reads = 0
        self.conflicts = 0

    async def names(self) -> list[str]:
        """Return the one name."""
        return [NAME]

    async def find(self, name: str) -> Dataset | None:
        """Return the dataset."""
        report = QualityReport()
        return storing.describe(NAME, "file", Interval.HOUR_1, self._rows, report, 0)

    async def read(self, dataset: Dataset, span: Span = EVERYTHING) -> Rows:
        """Return the rows of the span."""
        await asyncio.sleep(0)
        self.reads += 1
        if self.conflicts:
            self.conflicts -= 1
            raise StoreConflict(NAME)
        times = self._rows.open_time_ms
        inside = (times >= span.start_ms) & (times < span.end_ms)
        return Candles.from_columns(column[inside] for column in self._rows.columns())

    async def times_before(self, dataset: Dataset, end_ms: int) -> Times:
        """Return earlier times."""
        return self._rows.open_time_ms[self._rows.open_time_ms < end_ms]


@pytest.fixture
def store(bars: Callable[..., Candles], hour: int) -> OneDataset:
    """A hundred bars."""
    return OneDataset(bars([number * hour for number in range(100)]))


def reader(store: OneDataset, budget_bytes: int = 10**6) -> FrameReader:
    """A reader without a shared cache."""
    return FrameReader(store, None, budget_bytes)  # type: ignore[arg-type]


async def test_the_same_frame_is_read_once(store: OneDataset) -> None:
    """Ten callers at once cost one read, and so does a hundredth later."""
    frames = reader(store)
    answers = await asyncio.gather(*(frames.frame(Wanted(NAME)) for _ in range(10)))
    assert all(answer is answers[0] for answer in answers)
    assert await frames.frame(Wanted(NAME)) is answers[0]
    assert store.reads == 1


async def test_the_frame_used_longest_ago_is_forgotten_first(store: OneDataset, hour: int) -> None:
    """Two frames fit; the third pushes out the one not asked for lately."""
    frames = reader(store, budget_bytes=15_000)
    first, second, third = (
        Wanted(NAME, start * hour, (start + 50) * hour) for start in (0, 10, 20)
    )
    for wanted in (first, second, first, third):
        await frames.frame(wanted)
    assert store.reads == 3
    await frames.frame(first)
    assert store.reads == 3
    await frames.frame(second)
    assert store.reads == 4


async def test_many_small_frames_count_with_all_that_is_said_about_them(
    store: OneDataset, hour: int
) -> None:
    """Frames of one bar must not fill the memory with their descriptions."""
    frames = reader(store, budget_bytes=15_000)
    for start in range(10):
        await frames.frame(Wanted(NAME, start * hour, (start + 1) * hour))
    await frames.frame(Wanted(NAME, 0, hour))
    assert store.reads == 11


async def test_a_frame_larger_than_the_memory_is_still_served(store: OneDataset) -> None:
    """A budget of nothing keeps the last frame only."""
    frames = reader(store, budget_bytes=0)
    assert len((await frames.frame(Wanted(NAME))).candles) == 100


async def test_a_version_gone_under_our_eyes_is_read_anew(store: OneDataset) -> None:
    """A reader that was overtaken looks again; one that always is gives up."""
    store.conflicts = 2
    assert len((await reader(store).frame(Wanted(NAME))).candles) == 100
    store.conflicts = 100
    with pytest.raises(StoreConflict):
        await reader(store).frame(Wanted(NAME))


async def test_other_lookbacks_are_other_frames(store: OneDataset, hour: int) -> None:
    """The digest covers lookback and window together."""
    frames = reader(store)
    short = await frames.frame(Wanted(NAME, 50 * hour, None, 5))
    long = await frames.frame(Wanted(NAME, 50 * hour, None, 6))
    assert (short.lookback_row_count, long.lookback_row_count) == (5, 6)
    assert short.content_digest != long.content_digest
    with pytest.raises(AssayError) as caught:
        await frames.frame(Wanted(NAME, 50 * hour, None, 6, short.content_digest))
    assert caught.value.reason == "DATASET_CHANGED"
