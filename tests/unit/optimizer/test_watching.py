"""Watchers that share readings: nobody keeps news from another, and every watch ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from services.common.errors import AssayError
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.study import turnstile
from services.optimizer.core.study.chronicle import PAGE, Chronicle
from services.optimizer.core.study.turnstile import Turnstile
from tests.unit.optimizer.in_memory import ScriptedWorkers, pending
from tests.unit.optimizer.memory_store import MemoryStore
from tests.unit.optimizer.process import Process

END = json.dumps({"end": "SUCCEEDED"}).encode()


class OthersStore(MemoryStore):
    """A store of studies that another replica runs.

    `before_page` is called by each reading of a page of events, before it is answered, which takes
    `page_turns` turns of the event loop.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.before_page: Callable[[], None] = lambda: None
        self.page_turns = 0
        self.records["one"] = replace(pending(), state=StudyState.RUNNING)
        self.log["one"] = [json.dumps({"generation": at}).encode() for at in range(count)]

    def finish(self) -> None:
        """End the study, as its owner does: state and event at once."""
        self.records["one"] = replace(self.records["one"], state=StudyState.SUCCEEDED)
        self.log["one"].append(END)

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events after a number."""
        if limit == PAGE:
            self.before_page()
            await turns(self.page_turns)
        return await super().events(study_id, after_number, limit)


def watching(store: MemoryStore) -> Process:
    """Return a process that claims nothing: it watches the studies of others."""
    return Process(store, ScriptedWorkers())


async def numbers(events: AsyncIterator[tuple[int, bytes]]) -> list[int]:
    """Return the numbers of all events up to the end."""
    return [number async for number, _ in events]


async def turns(count: int = 50) -> None:
    """Give everybody else some turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_watcher_beyond_the_last_event_keeps_no_news_from_others() -> None:
    """Who has seen all there is hears of what follows, whatever number another one named."""
    store = OthersStore(3)
    one = watching(store)
    beyond = asyncio.ensure_future(numbers(one.supervisor.watch("one", 1_000)))
    await turns()
    follower = asyncio.ensure_future(numbers(one.supervisor.watch("one", 3)))
    await turns()
    store.finish()
    async with asyncio.timeout(10):
        assert await follower == [4]
    beyond.cancel()
    await one.supervisor.close()


async def test_the_end_is_heard_of_by_who_read_it_beside_an_older_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One learns of the last event from a reading made for another, whose record had not ended."""
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 0.01)
    store = OthersStore(1)
    one = watching(store)
    watcher = one.supervisor.watch("one", 0)
    async with asyncio.timeout(10):
        assert (await anext(watcher))[0] == 1

        def ended_between() -> None:
            store.before_page = lambda: None
            store.finish()

        store.before_page = ended_between
        other = asyncio.ensure_future(numbers(one.supervisor.watch("one", 2)))
        while len(store.log["one"]) == 1:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        await turns()
        assert await numbers(watcher) == [2]
    other.cancel()
    await one.supervisor.close()


@pytest.mark.parametrize("count", range(20))
async def test_draining_ends_a_watch_wherever_it_stands(count: int) -> None:
    """Also one that has just been told that there is nothing new."""
    one = watching(OthersStore(1))
    watcher = one.supervisor.watch("one", 1)
    ending = asyncio.ensure_future(numbers(watcher))
    await turns()
    one.supervisor._watches.wake("one")
    await turns(count)
    one.supervisor.release_watchers()
    async with asyncio.timeout(10):
        with pytest.raises(AssayError) as refused:
            await ending
    assert refused.value.reason == "STORE_UNAVAILABLE"
    await one.supervisor.close()


async def test_an_empty_reading_does_not_hide_what_another_found_meanwhile() -> None:
    """One begins at the last event, another at the first: the page of that one goes on."""
    store = OthersStore(PAGE + 36)
    chronicle = Chronicle("one", store, _record_of(store), Turnstile(), tip=PAGE + 36)
    began, go_on = asyncio.Event(), asyncio.Event()
    events = store.events

    async def held_up(study_id: str, after_number: int, limit: int) -> Sequence[tuple[int, bytes]]:
        found = await events(study_id, after_number, limit)
        if after_number == PAGE + 36:
            began.set()
            await go_on.wait()
        return found

    store.events = held_up  # type: ignore[method-assign]
    looking = asyncio.ensure_future(chronicle.look(chronicle.call()))
    await began.wait()
    assert len(await chronicle.after(0)) == PAGE
    go_on.set()
    await looking
    assert len(await chronicle.after(PAGE)) == 36


async def test_who_comes_wakes_nobody_who_has_seen_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others are told of what follows all the same."""
    store = OthersStore(3)
    one = watching(store)
    crowd = [asyncio.ensure_future(numbers(one.supervisor.watch("one", 2))) for _ in range(30)]
    await turns(400)
    asked: list[int] = []
    after = Chronicle.after

    async def counted(chronicle: Chronicle, seen: int) -> Sequence[tuple[int, bytes]]:
        asked.append(seen)
        return await after(chronicle, seen)

    monkeypatch.setattr(Chronicle, "after", counted)
    late = asyncio.ensure_future(numbers(one.supervisor.watch("one", 1)))
    await turns(400)
    assert asked == [1, 3]
    store.finish()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*crowd) == [[3, 4]] * 30
        assert await late == [2, 3, 4]
    await one.supervisor.close()


async def test_those_who_keep_coming_keep_nobody_waiting() -> None:
    """Somebody comes during each reading; those before are told nevertheless."""
    store = OthersStore(3)
    one = watching(store)
    crowd: list[asyncio.Future[list[int]]] = []

    def come() -> None:
        if len(crowd) < 500:
            crowd.append(asyncio.ensure_future(numbers(one.supervisor.watch("one", 0))))

    store.before_page, store.page_turns = come, 3
    first = one.supervisor.watch("one", 0)
    async with asyncio.timeout(10):
        assert (await anext(first))[0] == 1
    assert len(crowd) < 500
    store.before_page = lambda: None
    store.finish()
    async with asyncio.timeout(10):
        assert await numbers(first) == [2, 3, 4]
        assert await asyncio.gather(*crowd) == [[1, 2, 3, 4]] * len(crowd)
    await one.supervisor.close()


def _record_of(store: MemoryStore) -> Callable[[str], Awaitable[StudyRecord]]:
    async def read(study_id: str) -> StudyRecord:
        return store.records[study_id]

    return read
