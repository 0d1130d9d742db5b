"""Funding, marks and shorter candles beside the candles: read, checked, pinned, kept."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.market.v1.candles_pb2 import CandleSnapshot
from google.protobuf import json_format

from services.common.errors import Code
from services.common.frames import Candles
from tests.service.backtest.calls import (
    DATASET,
    StartWorker,
    Stub,
    batch_request,
    refusal,
    run_request,
)
from tests.service.backtest.in_memory_data import (
    HOUR_MS,
    START_MS,
    InMemoryData,
    minutes_of,
    random_market,
    without_rows,
)

FUNDING = "datasets/synthetic.walk.funding"
MARK = "datasets/synthetic.mark.1h"
DETAIL = "datasets/synthetic.walk.15m"
DATASETS = {"funding": FUNDING, "mark": MARK, "detail": DETAIL}
SERIES = {name: {"dataset": dataset} for name, dataset in DATASETS.items()}
LEVERED = {"leverage": 3.0, "close_at_end": True}


@pytest.fixture
async def data() -> InMemoryData:
    """Six hundred hours, marks near their prices, quarters of hours, and funding twice a day."""
    candles = random_market(600)
    market = (candles.open, candles.high, candles.low, candles.close)
    prices = [column * 1.001 for column in market]
    mark = Candles.from_columns([candles.open_time_ms, *prices, candles.volume])
    detail = minutes_of(candles, HOUR_MS // 4)
    times = [START_MS + 12 * HOUR_MS * number + 7 for number in range(50)]
    rates = [0.0001 * (number % 5 - 1) for number in range(50)]
    return InMemoryData(
        {DATASET: candles, MARK: mark, DETAIL: detail}, funding={FUNDING: (times, rates)}
    )


def funding_digest(times: list[int], rates: list[float]) -> str:
    """Return the digest that the contract asks for."""
    whole = np.array(times, "<i8").tobytes() + np.array(rates, "<f8").tobytes()
    return hashlib.sha256(whole).hexdigest()


def window(first: int, last: int) -> dict[str, Any]:
    """Return the snapshot of hours first to last, half-open."""
    message = CandleSnapshot(dataset=DATASET)
    message.window.start_time.FromMilliseconds(START_MS + first * HOUR_MS)
    message.window.end_time.FromMilliseconds(START_MS + last * HOUR_MS)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


async def test_series_are_told_with_the_digests_of_the_window(
    worker: Stub, data: InMemoryData
) -> None:
    """Each over the window's own bars, lookback apart; a batch tells the same; both can be sent."""
    request = run_request(snapshot=window(100, 500), execution=LEVERED | SERIES)
    answer = await worker.RunBacktest(request)
    batch = await worker.RunBacktestBatch(
        batch_request([5], snapshot=window(100, 500), execution=LEVERED | SERIES)
    )
    times, rates = data.funding[FUNDING]
    inside = [at for at, time in enumerate(times) if 100 <= (time - START_MS) / HOUR_MS < 500]
    series = answer.execution

    assert series.funding.content_digest == funding_digest(
        [times[at] for at in inside], [rates[at] for at in inside]
    )
    assert series.mark.content_digest == data.datasets[MARK].slice(100, 500).content_digest()
    assert series.detail.content_digest == data.datasets[DETAIL].slice(400, 2_000).content_digest()
    assert batch.execution == answer.execution
    assert answer.metrics.funding_quote != 0

    data.requests.clear()
    data.funding_requests.clear()
    pinned = pb.RunBacktestRequest()
    pinned.CopyFrom(request)
    pinned.snapshot.CopyFrom(answer.snapshot)
    pinned.execution.CopyFrom(answer.execution)
    assert await worker.RunBacktest(pinned) == answer
    assert (data.requests, data.funding_requests) == ([], [])


async def test_funding_changes_what_a_position_earns(worker: Stub) -> None:
    """The same backtest without it has no funding; their difference is what was paid."""
    entering = {"strategy": {"name": "strategies/buy_and_hold"}, "parameters": []}
    plain = await worker.RunBacktest(run_request(**entering))
    funded = await worker.RunBacktest(
        run_request(**entering, execution={"funding": {"dataset": FUNDING}})
    )

    assert plain.metrics.funding_quote == 0
    assert not plain.execution.HasField("funding")
    paid = plain.metrics.net_profit_quote - funded.metrics.net_profit_quote
    assert paid == pytest.approx(funded.metrics.funding_quote, rel=1e-9)
    assert paid != 0


async def test_frames_with_other_series_share_the_candles(worker: Stub, data: InMemoryData) -> None:
    """The rows of the candles are read once, however many series stand beside them."""
    first = await worker.RunBacktest(run_request())
    pinned = json_format.MessageToDict(first.snapshot, preserving_proto_field_name=True)
    data.requests.clear()
    for execution in (SERIES, {"funding": SERIES["funding"]}, {"mark": SERIES["mark"]}):
        await worker.RunBacktest(run_request(snapshot=pinned, execution=execution))
    status = await worker.GetWorkerStatus(pb.GetWorkerStatusRequest())

    assert DATASET not in {request.snapshot.dataset for request in data.requests}
    assert list(status.cached_content_digests) == [first.snapshot.content_digest]


async def test_series_that_do_not_fit_into_memory_are_used_and_not_kept(
    start_worker: StartWorker, data: InMemoryData, data_port: int
) -> None:
    """The candles stay; the shorter ones are read again for every call, with the same result."""
    minutes = minutes_of(data.datasets[DATASET], 60_000)
    data.datasets["datasets/synthetic.walk.1m"] = minutes
    worker: Stub = await start_worker(data_port, frame_cache_mb=1)
    execution = {"stop_loss_ratio": 0.01, "detail": {"dataset": "datasets/synthetic.walk.1m"}}
    first = await worker.RunBacktest(run_request(execution=execution))
    pinned = run_request()
    pinned.snapshot.CopyFrom(first.snapshot)
    pinned.execution.CopyFrom(first.execution)
    data.requests.clear()

    assert await worker.RunBacktest(pinned) == first
    assert {request.snapshot.dataset for request in data.requests} == {"datasets/synthetic.walk.1m"}


@pytest.mark.parametrize("name", ["funding", "mark", "detail"])
async def test_other_content_than_pinned_is_refused(worker: Stub, name: str) -> None:
    """ABORTED, in the data service's words."""
    execution = {name: SERIES[name] | {"content_digest": "0" * 64}}
    error = await refusal(worker.RunBacktest(run_request(execution=execution)))

    assert (error.code, error.reason) == (Code.ABORTED, "DATASET_CHANGED")
    assert error.domain == "data.assay"
    assert len(error.metadata["actual_digest"]) == 64


@pytest.mark.parametrize("name", ["funding", "mark", "detail"])
async def test_an_unpinned_series_is_what_it_is_now(
    worker: Stub, data: InMemoryData, name: str
) -> None:
    """A change between two calls is seen by the second, digest and all."""
    request = run_request(execution={name: SERIES[name]})
    first = await worker.RunBacktest(request)
    if name == "funding":
        times, rates = data.funding[FUNDING]
        data.funding[FUNDING] = (times, [rate + 0.001 for rate in rates])
    else:
        held = data.datasets[DATASETS[name]]
        data.datasets[DATASETS[name]] = Candles.from_columns([*held.columns()[:5], held.volume + 1])
    second = await worker.RunBacktest(request)

    before, after = (getattr(one.execution, name) for one in (first, second))
    assert before.dataset == after.dataset
    assert before.content_digest != after.content_digest


@pytest.mark.parametrize(
    ("name", "dataset", "change"),
    [
        ("mark", MARK, lambda candles: without_rows(candles, 300, 301)),
        ("mark", MARK, lambda candles: candles.slice(0, 599)),
        ("mark", DETAIL, lambda candles: candles),
        ("detail", MARK, lambda candles: candles),
        ("detail", "datasets/synthetic.long.4h", lambda candles: candles),
        ("detail", DETAIL, lambda candles: candles.slice(4, len(candles))),
    ],
)
async def test_a_series_that_does_not_fit_is_refused(
    worker: Stub, data: InMemoryData, name: str, dataset: str, change: Any
) -> None:
    """Marks with a hole, too few, of another interval; detail not shorter, or beginning late."""
    four_hours = data.datasets[DATASET]
    data.datasets["datasets/synthetic.long.4h"] = Candles.from_columns(
        [column[::4] for column in four_hours.columns()]
    )
    data.datasets[dataset] = change(data.datasets[dataset])
    error = await refusal(worker.RunBacktest(run_request(execution={name: {"dataset": dataset}})))

    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "SERIES_INCOMPLETE")
    assert error.domain == "backtest.assay"
    assert error.metadata == {"series": name, "dataset": dataset}


async def test_marks_of_bars_that_the_candles_lack_are_left_out(
    worker: Stub, data: InMemoryData
) -> None:
    """A hole in the candles needs no hole in the marks, nor in the shorter candles."""
    data.datasets[DATASET] = without_rows(data.datasets[DATASET], 300, 310)
    answer = await worker.RunBacktest(run_request(execution=LEVERED | SERIES))

    assert (answer.bar_count, answer.missing_bar_count) == (590, 10)
    assert answer.execution.mark.content_digest == data.datasets[MARK].content_digest()


@pytest.mark.parametrize(
    ("name", "dataset"), [("funding", MARK), ("mark", FUNDING), ("detail", FUNDING)]
)
async def test_a_series_of_another_kind_is_a_wrong_field(
    worker: Stub, name: str, dataset: str
) -> None:
    """Told by the field of the execution model, in the worker's own name."""
    error = await refusal(worker.RunBacktest(run_request(execution={name: {"dataset": dataset}})))

    assert (error.reason, error.domain) == ("FIELD_INVALID", "backtest.assay")
    assert [item.field for item in error.violations] == [f"execution.{name}.dataset"]


@pytest.mark.parametrize("name", ["funding", "mark", "detail"])
async def test_an_unknown_series_is_not_found(worker: Stub, name: str) -> None:
    """As the data service says."""
    execution = {name: {"dataset": f"datasets/nobody.{'1h' if name != 'funding' else name}"}}
    error = await refusal(worker.RunBacktest(run_request(execution=execution)))

    assert (error.code, error.reason) == (Code.NOT_FOUND, "DATASET_UNKNOWN")
    assert error.domain == "data.assay"
