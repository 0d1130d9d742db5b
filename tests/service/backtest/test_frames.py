"""Where candles come from: asked for once, checked against their digest, kept by it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import numpy as np
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.market.v1.candles_pb2 import CandleSnapshot
from google.protobuf import json_format

from services.common.errors import Code
from services.common.server import running
from tests.service.backtest.calls import (
    DATASET,
    StartWorker,
    Stub,
    batch_request,
    refusal,
    run_request,
)
from tests.service.backtest.in_memory_data import InMemoryData, random_market


def _as_json(snapshot: CandleSnapshot) -> dict[str, object]:
    return json_format.MessageToDict(snapshot, preserving_proto_field_name=True)


async def _digests(worker: Stub) -> list[str]:
    status = await worker.GetWorkerStatus(pb.GetWorkerStatusRequest())
    return list(status.cached_content_digests)


async def test_the_answer_names_the_candles_in_full(worker: Stub, data: InMemoryData) -> None:
    """Dataset, window, lookback and digest are all set, though the request gave one of them."""
    answer = await worker.RunBacktest(run_request())

    assert _as_json(answer.snapshot) == {
        "dataset": DATASET,
        "window": {"start_time": "2024-01-01T00:00:00Z", "end_time": "2024-01-26T00:00:00Z"},
        "lookback_bar_count": 20,
        "content_digest": data.datasets[DATASET].content_digest(),
    }
    assert (answer.bar_count, answer.missing_bar_count, answer.synthetic) == (600, 0, True)


async def test_without_a_lookback_the_strategy_gets_what_it_needs(
    worker: Stub, data: InMemoryData
) -> None:
    """The longest need of any set of the batch is asked for; a given one is passed on."""
    window = {"start_time": "2024-01-10T00:00:00Z"}
    own = {"dataset": DATASET, "window": window}
    await worker.RunBacktestBatch(batch_request([5, 50, 7], snapshot=own))
    await worker.RunBacktestBatch(batch_request([5], snapshot=own | {"lookback_bar_count": 3}))

    asked = [request.snapshot.lookback_bar_count for request in data.requests]
    assert asked == [50, 50, 3, 3]


async def test_a_pinned_frame_is_asked_for_once(worker: Stub, data: InMemoryData) -> None:
    """With a digest, the second call is answered from memory without any call to the data service.

    That also holds when the first call pinned it in other words: with the window's ends open.
    """
    first = await worker.RunBacktest(run_request())
    data.requests.clear()
    pinned = run_request(snapshot=_as_json(first.snapshot))
    in_other_words = run_request(
        snapshot={
            "dataset": DATASET,
            "lookback_bar_count": 20,
            "content_digest": first.snapshot.content_digest,
        }
    )

    again = await worker.RunBacktest(pinned)
    assert data.requests == []
    assert again == first

    await worker.RunBacktest(in_other_words)
    data.requests.clear()
    assert await worker.RunBacktest(in_other_words) == first
    assert data.requests == []


async def test_an_unpinned_frame_is_compared_by_its_header(
    worker: Stub, data: InMemoryData
) -> None:
    """Without a digest every call asks for the header, and for rows only when they are new."""
    await worker.RunBacktest(run_request())
    data.requests.clear()

    await worker.RunBacktest(run_request())
    assert [request.row_limit for request in data.requests] == [1]

    data.datasets[DATASET] = random_market(600, seed=8)
    answer = await worker.RunBacktest(run_request())
    assert [request.row_limit for request in data.requests] == [1, 1, 0]
    assert answer.snapshot.content_digest == data.datasets[DATASET].content_digest()


async def test_calls_for_one_frame_share_one_fetch(
    start_worker: StartWorker, data: InMemoryData, data_port: int
) -> None:
    """Five calls at once cost one transfer, and one that is cancelled does not end the others'."""
    worker: Stub = await start_worker(data_port)
    digest = data.datasets[DATASET].content_digest()
    pinned = {"dataset": DATASET, "lookback_bar_count": 20, "content_digest": digest}
    data.gate.clear()
    calls = [worker.RunBacktest(run_request(snapshot=pinned)) for _ in range(5)]
    await data.asked.wait()

    calls[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    data.gate.set()
    answers = await asyncio.gather(*calls[1:])

    assert len(data.requests) == 1
    assert all(answer == answers[0] for answer in answers)


async def test_other_content_than_pinned_is_refused(worker: Stub, data: InMemoryData) -> None:
    """A digest the data no longer have is ABORTED in the words of the data service."""
    request = run_request(snapshot={"dataset": DATASET, "content_digest": "0" * 64})

    error = await refusal(worker.RunBacktest(request))

    assert (error.code, error.reason) == (Code.ABORTED, "DATASET_CHANGED")
    assert error.domain == "data.assay"
    assert error.metadata["actual_digest"] == data.datasets[DATASET].content_digest()


@pytest.mark.parametrize(
    ("snapshot", "code", "reason"),
    [
        ({"dataset": "datasets/nobody.1h"}, Code.NOT_FOUND, "DATASET_UNKNOWN"),
        (
            {"dataset": DATASET, "window": {"start_time": "2030-01-01T00:00:00Z"}},
            Code.OUT_OF_RANGE,
            "WINDOW_OUTSIDE_DATASET",
        ),
    ],
)
async def test_refusals_of_the_data_service_pass_through(
    worker: Stub, snapshot: dict[str, object], code: Code, reason: str
) -> None:
    """An unknown dataset and a window outside it keep code, reason and domain."""
    error = await refusal(worker.RunBacktestBatch(batch_request([5], snapshot=snapshot)))

    assert (error.code, error.reason, error.domain) == (code, reason, "data.assay")


async def test_rows_that_differ_from_their_digest_are_never_used(
    worker: Stub, data: InMemoryData
) -> None:
    """Garbled candles are refused and not kept; sound ones are taken on the next call."""
    data.garbled = True
    error = await refusal(worker.RunBacktest(run_request()))
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "DATA_UNAVAILABLE")
    assert await _digests(worker) == []

    data.garbled = False
    assert (await worker.RunBacktest(run_request())).bar_count == 600


async def test_a_data_service_that_is_down_is_told_and_waited_for(
    start_worker: StartWorker, data: InMemoryData
) -> None:
    """DATA_UNAVAILABLE with a time to come back; pinned frames still run; all is well after."""
    async with AsyncExitStack() as until_it_dies:
        port = await until_it_dies.enter_async_context(running(data.application()))
        worker: Stub = await start_worker(port)
        first = await worker.RunBacktest(run_request())

    error = await refusal(worker.RunBacktest(run_request()))
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "DATA_UNAVAILABLE")
    assert error.domain == "backtest.assay"
    assert error.retry_after_ms

    pinned = run_request(snapshot=_as_json(first.snapshot))
    assert await worker.RunBacktest(pinned) == first

    async with running(data.application(), listen=f"127.0.0.1:{port}"):
        assert await worker.RunBacktest(run_request()) == first


async def test_memory_for_frames_is_bounded(
    start_worker: StartWorker, data: InMemoryData, data_port: int
) -> None:
    """The frame used longest ago goes first; the newest digest is listed first."""
    names = [f"datasets/synthetic.large{number}.1h" for number in range(3)]
    for number, name in enumerate(names):
        data.datasets[name] = random_market(9_000, seed=number)
    # One frame takes 0.41 MiB.
    worker: Stub = await start_worker(data_port, frame_cache_mb=1)
    for number in (0, 1, 0, 2):
        await worker.RunBacktest(run_request(snapshot={"dataset": names[number]}))

    kept = [data.datasets[names[number]].content_digest() for number in (2, 0)]
    assert await _digests(worker) == kept


async def test_large_frames_arrive_whole(worker: Stub, data: InMemoryData) -> None:
    """Frames of many chunks are put together in order: the curve has every bar's time."""
    data.datasets[DATASET] = random_market(5_500)

    answer = await worker.RunBacktest(run_request(detail="DETAIL_EQUITY_CURVE"))

    times = np.array(answer.equity_curve.open_time_ms)
    assert np.array_equal(times, data.datasets[DATASET].open_time_ms)
