"""Slots: bounded, counted, first come first served, and free again after a cancelled call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from services.backtest.slots import Slots
from services.common.errors import AssayError, Code


class Gate:
    """Work that tells when it starts and ends when it is let go or cancelled."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.let_go = threading.Event()
        self.saw_cancellation = threading.Event()

    def __call__(self, cancelled: threading.Event) -> str:
        """Wait for either event, as a kernel looks at its flag between sets."""
        self.started.set()
        while not self.let_go.wait(0.001):
            if cancelled.is_set():
                self.saw_cancellation.set()
                return "cancelled"
        return "done"

    async def running(self) -> None:
        """Wait until the work has a slot."""
        assert await asyncio.to_thread(self.started.wait, 10)


@pytest.fixture
async def slots() -> AsyncIterator[Slots]:
    """One slot with room for one call in the queue."""
    made = Slots(1, queue_limit=1)
    yield made
    await made.close()


async def test_work_is_counted_as_queued_then_busy_then_gone(slots: Slots) -> None:
    """What GetWorkerStatus tells: running and waiting work, and neither after the end."""
    first, second = Gate(), Gate()
    tasks = [asyncio.create_task(slots.run(work)) for work in (first, second)]
    await first.running()

    assert (slots.busy, slots.queued) == (1, 1)

    first.let_go.set()
    await second.running()
    assert (slots.busy, slots.queued) == (1, 0)
    second.let_go.set()
    assert await asyncio.gather(*tasks) == ["done", "done"]
    assert (slots.busy, slots.queued) == (0, 0)


async def test_a_full_queue_is_refused_with_a_time_to_come_back(slots: Slots) -> None:
    """Beyond the queue a call is told WORKER_BUSY at once instead of waiting."""
    first, second = Gate(), Gate()
    tasks = [asyncio.create_task(slots.run(work)) for work in (first, second)]
    await first.running()

    with pytest.raises(AssayError) as refusal:
        await slots.run(Gate())

    assert (refusal.value.code, refusal.value.reason) == (Code.UNAVAILABLE, "WORKER_BUSY")
    assert refusal.value.retry_after_ms
    first.let_go.set()
    second.let_go.set()
    await asyncio.gather(*tasks)


async def test_cancelling_running_work_sets_its_event_and_frees_the_slot(slots: Slots) -> None:
    """The thread learns of the cancellation; the next call gets the slot when it has ended."""
    work, following = Gate(), Gate()
    task = asyncio.create_task(slots.run(work))
    await work.running()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    following.let_go.set()
    assert await slots.run(following) == "done"
    assert work.saw_cancellation.is_set()
    assert slots.busy == 0


async def test_a_slot_stays_taken_while_cancelled_work_still_runs(slots: Slots) -> None:
    """Work that does not look at its event holds its slot; two never run on one slot."""
    end = threading.Event()
    started = threading.Event()

    def stubborn(_: threading.Event) -> None:
        started.set()
        end.wait(10)

    task = asyncio.create_task(slots.run(stubborn))
    assert await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert slots.busy == 1
    end.set()
    after = Gate()
    after.let_go.set()
    assert await slots.run(after) == "done"


async def test_cancelling_waiting_work_leaves_the_queue(slots: Slots) -> None:
    """A caller that goes away while waiting is never run."""
    first, second = Gate(), Gate()
    running = asyncio.create_task(slots.run(first))
    waiting = asyncio.create_task(slots.run(second))
    await first.running()

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert slots.queued == 0
    first.let_go.set()
    await running
    assert not second.started.is_set()


async def test_an_error_of_the_work_reaches_the_caller_and_frees_the_slot(slots: Slots) -> None:
    """A failing kernel does not cost a slot."""

    def failing(_: threading.Event) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await slots.run(failing)

    assert slots.busy == 0


async def test_ended_work_and_its_time_are_counted(slots: Slots) -> None:
    """Work that fails has cost its time too; waiting for a slot is nobody's work."""
    first, second = Gate(), Gate()
    tasks = [asyncio.create_task(slots.run(work)) for work in (first, second)]
    await first.running()
    assert (slots.finished, slots.worked_seconds) == (0, 0.0)
    first.let_go.set()
    await second.running()
    once = slots.worked_seconds
    second.let_go.set()
    await asyncio.gather(*tasks)
    twice = slots.worked_seconds

    with pytest.raises(ZeroDivisionError):
        await slots.run(lambda _: 1 // 0)

    assert slots.finished == 3
    assert 0 < once < twice < slots.worked_seconds
