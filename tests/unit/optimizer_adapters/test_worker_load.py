"""What a pool says of its work: the queue, what workers have, and calls that had to be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb

from services.common.errors import unavailable
from services.optimizer.adapters.workers.study_workers import StudyWorkers
from services.optimizer.adapters.workers.worker_failures import FailureKind
from services.optimizer.adapters.workers.worker_pace import FIRST_SET_COUNT
from services.optimizer.adapters.workers.worker_pool import WorkerPool
from tests.unit.optimizer_adapters.standin_worker import DEADLY
from tests.unit.optimizer_adapters.worker_fleet import SPEC, Fleet, expected, points


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    """No worker yet."""
    made = Fleet()
    yield made
    await made.close()


def load(pool: WorkerPool) -> tuple[int, int]:
    """Return the sets that wait and those that workers have."""
    waiting = sum(one.waiting_set_count for one in pool.loads)
    return waiting, sum(one.flying_set_count for one in pool.loads)


async def test_sets_wait_until_a_call_takes_them(fleet: Fleet) -> None:
    """With two calls at once, two chunks are with workers and the others wait; then none."""
    arrived, gate = asyncio.Semaphore(0), asyncio.Event()

    async def hold(_: pb.RunBacktestBatchRequest) -> None:
        arrived.release()
        await gate.wait()

    await fleet.start(hold)
    pool = fleet.pool(max_in_flight=2)
    work = asyncio.create_task(StudyWorkers.of(pool, SPEC).evaluate(points(100)))
    for _ in range(2):
        await arrived.acquire()
    held = load(pool)
    gate.set()
    assert await work == expected(points(100))

    assert held == (100 - 2 * FIRST_SET_COUNT, 2 * FIRST_SET_COUNT)
    assert not pool.loads


async def test_a_cancelled_generation_leaves_nothing_behind(fleet: Fleet) -> None:
    """The work of a study that is stopped is wanted no more."""
    arrived = asyncio.Event()

    async def hold(_: pb.RunBacktestBatchRequest) -> None:
        arrived.set()
        await asyncio.Event().wait()

    await fleet.start(hold)
    pool = fleet.pool()
    work = asyncio.create_task(StudyWorkers.of(pool, SPEC).evaluate(points(100)))
    await arrived.wait()
    work.cancel()
    await asyncio.wait({work})

    assert not pool.loads


async def test_repeated_calls_are_counted_by_why(fleet: Fleet) -> None:
    """A worker that asks for patience twice is busy twice."""
    refusals = iter(range(2))

    async def busy_twice(_: pb.RunBacktestBatchRequest) -> None:
        if next(refusals, None) is not None:
            raise unavailable("WORKER_BUSY", "later", retry_after_ms=1)

    await fleet.start(busy_twice)
    pool = fleet.pool()
    await StudyWorkers.of(pool, SPEC).evaluate(points(4))

    assert pool.failures[FailureKind.BUSY] == 2
    assert sum(pool.failures.values()) == 2


async def test_a_set_that_is_given_up_waits_no_more(fleet: Fleet) -> None:
    """A deadly set ends as failed; at the end of a generation nothing is wanted."""

    async def die_of_it(request: pb.RunBacktestBatchRequest) -> None:
        left.append(load(pool))
        if DEADLY in request.columns[0].int_values.values:
            raise RuntimeError("a defect")

    left: list[tuple[int, int]] = []
    await fleet.start(die_of_it)
    pool = fleet.pool()
    outcomes = await StudyWorkers.of(pool, SPEC).evaluate(points(8, first=DEADLY - 3))

    assert [bool(one.failure_reason) for one in outcomes].count(True) == 1
    assert pool.failures[FailureKind.BROKEN] >= 5
    assert all(0 <= waiting + flying <= 8 for waiting, flying in left)
    assert min(waiting + flying for waiting, flying in left) == 1
