"""`bar_limit`: the first bars of a window, run on the candles of the whole one."""

from __future__ import annotations

from typing import Any

import pytest
from assay.market.v1.candles_pb2 import CandleSnapshot
from google.protobuf import json_format

from services.common.errors import Code
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
DETAIL = "datasets/synthetic.walk.15m"
FIRST = 80
"""Hour at which the windows begin."""

MODELS = (
    {"close_at_end": True},
    {
        "leverage": 3.0,
        "stop_loss_ratio": 0.02,
        "funding": {"dataset": FUNDING},
        "mark": {"dataset": DATASET},
        "detail": {"dataset": DETAIL},
    },
)


@pytest.fixture
async def data() -> InMemoryData:
    """Six hundred hours with ten missing, quarters of hours, and funding twice a day."""
    candles = random_market(600)
    times = [START_MS + 12 * HOUR_MS * number + 7 for number in range(50)]
    rates = [0.0001 * (number % 5 - 1) for number in range(50)]
    datasets = {
        DATASET: without_rows(without_rows(candles, 500, 504), 200, 206),
        DETAIL: minutes_of(candles, HOUR_MS // 4),
    }
    return InMemoryData(datasets, funding={FUNDING: (times, rates)})


def window(last: int, data: InMemoryData) -> dict[str, Any]:
    """Return the snapshot from FIRST that ends after the bar that is `last` in the dataset."""
    message = CandleSnapshot(dataset=DATASET)
    message.window.start_time.FromMilliseconds(START_MS + FIRST * HOUR_MS)
    last_open_ms = int(data.datasets[DATASET].open_time_ms[last])
    message.window.end_time.FromMilliseconds(last_open_ms + HOUR_MS)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def without_names(answer: Any) -> Any:
    """Return an answer without the names of its data, which are those asked for."""
    told = type(answer)()
    told.CopyFrom(answer)
    told.ClearField("snapshot")
    for name in ("funding", "mark", "detail"):
        told.execution.ClearField(name)
    return told


@pytest.mark.parametrize("execution", MODELS)
@pytest.mark.parametrize("count", [50, 121, 300, 509, 510, 10_000])
async def test_a_limit_tells_what_a_window_that_ends_there_tells(
    worker: Stub, data: InMemoryData, execution: Any, count: int
) -> None:
    """In every detail, alone and in a batch, where bars are missing too."""
    whole, shorter = window(589, data), window(min(FIRST + count, 590) - 1, data)
    detail = {"detail": "DETAIL_EQUITY_CURVE", "execution": execution}
    limited = await worker.RunBacktest(run_request(snapshot=whole, bar_limit=count, **detail))
    alone = await worker.RunBacktest(run_request(snapshot=shorter, **detail))

    assert limited.bar_count == min(count, 510)
    assert limited.missing_bar_count == 6 * (count > 120) + 4 * (count > 414)
    assert without_names(limited) == without_names(alone)

    for direction in ("DIRECTION_LONG", "DIRECTION_BOTH"):
        fields = {
            "strategy": {"name": "strategies/ma_crossover", "direction": direction},
            "execution": execution,
        }
        sets = [3, 5, 12, 30]
        limited_batch = await worker.RunBacktestBatch(
            batch_request(sets, snapshot=whole, bar_limit=count, **fields)
        )
        batch = await worker.RunBacktestBatch(batch_request(sets, snapshot=shorter, **fields))
        assert without_names(limited_batch) == without_names(batch)
        assert limited_batch.snapshot.window.end_time != batch.snapshot.window.end_time or (
            count >= 510
        )


async def test_all_limits_share_the_candles_of_the_snapshot(
    worker: Stub, data: InMemoryData
) -> None:
    """They are fetched once, and the answer names the whole snapshot."""
    first = await worker.RunBacktest(run_request(snapshot=window(589, data)))
    data.requests.clear()
    pinned = json_format.MessageToDict(first.snapshot, preserving_proto_field_name=True)
    for count in (50, 200, 400):
        answer = await worker.RunBacktestBatch(batch_request([5], snapshot=pinned, bar_limit=count))
        assert answer.snapshot == first.snapshot
        assert answer.bar_count == count
    assert data.requests == []
    assert await worker.RunBacktest(run_request(snapshot=pinned)) == first


async def test_bars_too_few_for_a_set_are_told_as_of_a_short_window(
    worker: Stub, data: InMemoryData
) -> None:
    """WINDOW_TOO_SHORT, with the limit as what is available."""
    snapshot = {"dataset": DATASET}
    error = await refusal(worker.RunBacktest(run_request(snapshot=snapshot, bar_limit=21)))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT")
    assert error.metadata == {"needed_bar_count": "22", "available_bar_count": "21"}
    answer = await worker.RunBacktestBatch(batch_request([5, 30], snapshot=snapshot, bar_limit=22))
    (failure,) = answer.failures
    assert (failure.index, failure.reason) == (1, "WINDOW_TOO_SHORT")


async def test_a_long_window_may_have_the_curve_of_its_first_bars(
    start_worker: StartWorker, data: InMemoryData, data_port: int
) -> None:
    """The longest curve is counted in the bars that are run."""
    data.datasets[DATASET] = random_market(100_001)
    worker: Stub = await start_worker(data_port)
    curve = {"detail": "DETAIL_EQUITY_CURVE"}
    error = await refusal(worker.RunBacktest(run_request(**curve)))
    assert [item.field for item in error.violations] == ["detail"]
    answer = await worker.RunBacktest(run_request(**curve, bar_limit=500))
    assert len(answer.equity_curve.equity_quote) == 500


@pytest.mark.parametrize("limit", [-1, 0, 1])
async def test_fewer_than_two_bars_are_a_wrong_field(
    worker: Stub, data: InMemoryData, limit: int
) -> None:
    """Told among everything else that is wrong, and nobody is asked for candles."""
    for call in (
        worker.RunBacktest(run_request(bar_limit=limit, strategy={"name": "x"})),
        worker.RunBacktestBatch(batch_request([5], bar_limit=limit, strategy={"name": "x"})),
    ):
        error = await refusal(call)
        assert error.reason == "FIELD_INVALID"
        assert [item.field for item in error.violations] == ["bar_limit", "strategy.name"]
    assert data.requests == []
