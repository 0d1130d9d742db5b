"""Busy workers: health answers, full queues refuse, cancelled calls give their slot back."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb

from services.common.errors import Code
from tests.service.backtest.calls import (
    DATASET,
    StartWorker,
    Stub,
    batch_request,
    refusal,
    run_request,
)
from tests.service.backtest.in_memory_data import InMemoryData, random_market


async def _status(worker: Stub) -> pb.GetWorkerStatusResponse:
    return await worker.GetWorkerStatus(pb.GetWorkerStatusRequest())


MODEL = {"stop_loss_ratio": 0.5, "leverage": 2}
"""What keeps sets off the fast path of plain ones."""


def long_batch() -> pb.RunBacktestBatchRequest:
    """Return a batch of ten thousand sets: seconds of work on the dataset of `data`."""
    fast = [5 + number % 500 for number in range(10_000)]
    return batch_request(fast, execution=MODEL)


@pytest.fixture
def data() -> InMemoryData:
    """A dataset on which the longest batch takes many seconds."""
    return InMemoryData({DATASET: random_market(200_000)})


async def test_the_status_of_an_idle_worker(worker: Stub) -> None:
    """Slots, nothing running, nothing held, the version of the code and the start."""
    status = await _status(worker)

    assert (status.slot_count, status.busy_slot_count, status.queued_batch_count) == (1, 0, 0)
    assert status.code_version
    assert status.start_time.seconds > 0
    assert status.finished_set_count == 0


async def test_finished_sets_are_counted(worker: Stub, data: InMemoryData) -> None:
    """A single backtest counts one, a batch its sets."""
    data.datasets[DATASET] = random_market(600)
    await worker.RunBacktest(run_request())
    await worker.RunBacktestBatch(batch_request([5, 6, 7]))

    assert (await _status(worker)).finished_set_count == 4


async def test_a_cancelled_batch_gives_its_slot_back(worker: Stub) -> None:
    """A running and a waiting call are counted; cancelling both frees the worker before its end."""
    running, waiting = (worker.RunBacktestBatch(long_batch()) for _ in range(2))
    status = await _status(worker)
    while (status.busy_slot_count, status.queued_batch_count) != (1, 1):
        status = await _status(worker)

    waiting.cancel()
    running.cancel()
    while status.busy_slot_count or status.queued_batch_count:
        status = await _status(worker)

    assert status.finished_set_count == 0
    assert running.cancelled()


async def test_slots_share_a_frame_without_a_trace(
    start_worker: StartWorker, data: InMemoryData, data_port: int
) -> None:
    """Batches that run at once on cold rows of one frame give what they give one by one."""
    data.datasets[DATASET] = random_market(3_000)
    requests = [
        batch_request(
            [first + step for step in range(40)],
            strategy={"name": "strategies/ma_crossover", "direction": direction},
            execution=execution,
        )
        for first in (2, 20, 50)
        for direction in ("DIRECTION_LONG", "DIRECTION_BOTH")
        for execution in ({}, MODEL)
    ]
    crowded: Stub = await start_worker(data_port, slots=4)
    at_once = await asyncio.gather(*map(crowded.RunBacktestBatch, requests))
    lonely: Stub = await start_worker(data_port)
    one_by_one = [await lonely.RunBacktestBatch(request) for request in requests]

    assert list(at_once) == one_by_one


async def test_a_full_worker_refuses_and_says_when_to_come_back(
    worker: Stub, data: InMemoryData
) -> None:
    """One call runs and 64 wait; the next is told WORKER_BUSY at once, and the others go on."""
    pinned = {"dataset": DATASET, "lookback_bar_count": 500}
    periods = [5 + number % 400 for number in range(5_000)]
    requests = [batch_request(periods, snapshot=pinned, execution=MODEL) for _ in range(66)]
    data.gate.clear()
    calls = {asyncio.ensure_future(worker.RunBacktestBatch(item)) for item in requests}
    # Each call has asked for the header; then one asks for the rows that all of them wait for.
    while len(data.requests) < 67:
        await _status(worker)
    data.gate.set()

    ended, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)

    (refused,) = ended
    error = await refusal(refused)
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "WORKER_BUSY")
    assert error.domain == "backtest.assay"
    assert error.retry_after_ms
    status = await _status(worker)
    assert (status.busy_slot_count, status.queued_batch_count) == (1, 64)
    for call in waiting:
        call.cancel()
    await asyncio.wait(waiting)


async def test_a_passed_deadline_gives_the_slot_back(worker: Stub) -> None:
    """A caller that waits no longer costs no more than the chunk in hand."""
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await worker.RunBacktestBatch(long_batch(), timeout=1.0)

    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    status = await _status(worker)
    while status.busy_slot_count:
        status = await _status(worker)
    assert status.finished_set_count == 0
