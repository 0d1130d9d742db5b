"""RunBacktestBatch: columns of metrics equal to single backtests, and failures of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import metrics_pb2

from services.backtest.core.indicators import registry
from services.backtest.core.indicators.operation import Columns, Operation, Static, Statics
from services.backtest.core.metrics import METRIC_NAMES
from services.common.errors import Code
from tests.service.backtest.calls import DATASET, Stub, batch_request, refusal, run_request
from tests.service.backtest.in_memory_data import InMemoryData, random_market

FAILED = metrics_pb2.UNDEFINED_REASON_SET_FAILED


def rows(answer: pb.RunBacktestBatchResponse, set_count: int) -> list[dict[str, Any]]:
    """Return per set its metrics: a value, or the reason why there is none."""
    table: list[dict[str, Any]] = [{} for _ in range(set_count)]
    for column in answer.columns:
        reasons: list[int] = list(column.undefined_reasons) or [0] * set_count
        assert len(reasons) == set_count
        assert len(column.values) == reasons.count(0)
        values = iter(column.values)
        for row, reason in zip(table, reasons, strict=True):
            row[column.metric] = ("undefined", reason) if reason else next(values)
    return table


def row(metrics: metrics_pb2.Metrics) -> dict[str, Any]:
    """Return the metrics of a single backtest in the same form."""
    found: dict[str, Any] = {item.metric: ("undefined", item.reason) for item in metrics.undefined}
    for field in metrics.DESCRIPTOR.fields:
        if field.name != "undefined" and metrics.HasField(field.name):  # type: ignore[arg-type]
            found[field.name] = float(getattr(metrics, field.name))
    return found


def parameter(name: str, value: int) -> dict[str, Any]:
    """Return one whole-numbered parameter as JSON."""
    return {"name": name, "value": {"int_value": str(value)}}


async def test_a_batch_equals_its_single_backtests_bit_for_bit(worker: Stub) -> None:
    """Every metric of every set, value or reason, is what RunBacktest says of it alone."""
    fast = [5, 20, 3, 5, 50]
    batch = await worker.RunBacktestBatch(
        batch_request(fast, strategy={"name": "strategies/ma_crossover", "direction": 3})
    )

    table = rows(batch, len(fast))

    for number, period in enumerate(fast):
        single = await worker.RunBacktest(
            run_request(
                strategy={"name": "strategies/ma_crossover", "direction": 3},
                parameters=[parameter("fast_period", period), parameter("slow_period", 20)],
            )
        )
        assert table[number] == row(single.metrics)
    assert [len(cells) for cells in table] == [len(METRIC_NAMES)] * len(fast)
    assert not batch.failures


async def test_wanted_metrics_come_in_the_wanted_order(worker: Stub) -> None:
    """Only what was asked for travels."""
    wanted = ["trade_count", "sharpe_ratio", "bust"]

    answer = await worker.RunBacktestBatch(batch_request([5, 6], metrics=wanted))

    assert [column.metric for column in answer.columns] == wanted
    assert (answer.bar_count, answer.missing_bar_count, answer.synthetic) == (600, 0, True)
    assert answer.snapshot.content_digest


async def test_the_cost_of_a_batch_is_told_beside_the_answer(worker: Stub) -> None:
    """Equal requests have equal answers, and every answer says what it cost."""
    calls = [worker.RunBacktestBatch(batch_request([5, 6])) for _ in range(2)]
    first, second = [await call for call in calls]

    assert first.SerializeToString() == second.SerializeToString()
    for call in calls:
        assert int(dict(await call.trailing_metadata())["x-compute-ns"]) > 0


async def test_undefined_values_are_left_out_never_zero(worker: Stub) -> None:
    """A set without trades has no win rate; the column holds the other sets' only."""
    answer = await worker.RunBacktestBatch(
        batch_request([5, 20, 6], metrics=["win_rate_ratio", "trade_count"])
    )

    rate, count = answer.columns
    no_trades = metrics_pb2.UNDEFINED_REASON_NO_TRADES
    assert list(rate.undefined_reasons) == [0, no_trades, 0]
    assert len(rate.values) == 2
    assert all(math.isfinite(value) for value in rate.values)
    assert list(count.undefined_reasons) == []
    assert count.values[1] == 0.0


async def test_one_bad_set_does_not_fail_its_neighbours(worker: Stub) -> None:
    """A set too long for the window is named with its counts; the others have their numbers."""
    good = await worker.RunBacktestBatch(batch_request([5, 7]))

    answer = await worker.RunBacktestBatch(batch_request([5, 600, 7]))

    (failure,) = answer.failures
    assert (failure.index, failure.reason) == (1, "WINDOW_TOO_SHORT")
    assert int(failure.metadata["needed_bar_count"]) > int(failure.metadata["available_bar_count"])
    assert failure.message
    first, second, third = rows(answer, 3)
    assert [first, third] == rows(good, 2)
    assert set(second.values()) == {("undefined", FAILED)}


async def test_values_that_make_no_sense_together_fail_their_set_only(worker: Stub) -> None:
    """Thresholds the wrong way round in one set are a failure of that set."""
    answer = await worker.RunBacktestBatch(
        batch_request(
            [0, 0],
            strategy={"name": "strategies/rsi_reversion"},
            columns=[{"name": "lower", "double_values": {"values": [30, 80]}}],
            fixed_parameters=[],
        )
    )

    (failure,) = answer.failures
    assert (failure.index, failure.reason) == (1, "FIELD_INVALID")
    assert answer.columns[0].undefined_reasons[0] == 0


async def test_a_parameter_may_be_given_in_any_place(worker: Stub) -> None:
    """A stop in a column, among the fixed parameters or in the model is the same stop."""
    stop = {"name": "stop_loss_ratio", "value": {"double_value": 0.02}}
    slow = parameter("slow_period", 20)
    columns = [
        {"name": "fast_period", "int_values": {"values": [5, 6]}},
        {"name": "stop_loss_ratio", "double_values": {"values": [0.02, 0.02]}},
    ]

    in_column = await worker.RunBacktestBatch(batch_request([5, 6], columns=columns))
    fixed = await worker.RunBacktestBatch(batch_request([5, 6], fixed_parameters=[slow, stop]))
    in_model = await worker.RunBacktestBatch(
        batch_request([5, 6], execution={"stop_loss_ratio": 0.02})
    )

    assert list(in_column.columns) == list(fixed.columns)
    assert fixed == in_model
    # What differs between sets is not the model's; here it happens to be equal.
    in_column.execution.stop_loss_ratio = 0.02
    assert in_column == fixed


async def test_a_set_s_own_parameter_wins_over_the_model(worker: Stub) -> None:
    """The model is what sets have in common; a parameter of the sets is more particular."""
    stop = {"name": "stop_loss_ratio", "value": {"double_value": 0.02}}
    slow = parameter("slow_period", 20)

    both = await worker.RunBacktestBatch(
        batch_request([5], fixed_parameters=[slow, stop], execution={"stop_loss_ratio": 0.5})
    )
    alone = await worker.RunBacktestBatch(batch_request([5], fixed_parameters=[slow, stop]))

    assert both == alone


async def test_words_travel_as_places_in_a_list(worker: Stub) -> None:
    """A column of words picks each set's kind of average."""
    columns = [
        {
            "name": "average",
            "category_values": {"categories": ["ema", "sma"], "indexes": [1, 0, 1]},
        }
    ]
    answer = await worker.RunBacktestBatch(batch_request([0, 0, 0], columns=columns))

    simple, exponential, again = rows(answer, 3)
    assert simple == again != exponential


async def test_the_largest_batch_fits_into_one_answer(worker: Stub, data: InMemoryData) -> None:
    """Ten thousand sets run in one call, in order."""
    data.datasets[DATASET] = random_market(60)
    fast = [1 + number % 40 for number in range(10_000)]

    answer = await worker.RunBacktestBatch(
        batch_request(fast, metrics=["total_return_ratio", "trade_count"])
    )

    returns = np.array(answer.columns[0].values).reshape(-1, 40)
    assert (returns == returns[0]).all()


async def test_a_defect_in_one_set_is_that_set_s_failure(worker: Stub, broken_at_7: Any) -> None:
    """An indicator that breaks for one value is SET_FAILED there; its neighbours are unharmed."""
    answer = await worker.RunBacktestBatch(
        batch_request([5, 7, 6], strategy=broken_at_7, fixed_parameters=[])
    )

    (failure,) = answer.failures
    assert (failure.index, failure.reason) == (1, "SET_FAILED")
    assert "broken on purpose" not in failure.message
    assert rows(answer, 3)[2]["trade_count"] > 0


async def test_a_defect_in_a_single_backtest_tells_only_where_to_look(
    worker: Stub, broken_at_7: Any
) -> None:
    """The caller learns a request id, not the inside of the service."""
    request = run_request(strategy=broken_at_7, parameters=[parameter("fast_period", 7)])
    error = await refusal(worker.RunBacktest(request))

    assert (error.code, error.reason) == (Code.INTERNAL, "INTERNAL")
    assert error.metadata["request_id"]
    assert "broken on purpose" not in error.message


@pytest.fixture
def broken_at_7(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a strategy over an indicator that is broken for a period of seven."""

    def compute(columns: Columns, statics: Statics) -> Columns:
        if statics == (7.0,):
            raise ZeroDivisionError("broken on purpose")
        return (columns[0].copy(),)

    def nothing(_: Statics) -> int:
        return 0

    operation = Operation(
        name="brittle",
        columns=(),
        series=("series",),
        statics=(Static("period", whole=True, minimum=1, maximum=100),),
        lookback=nothing,
        undefined=nothing,
        compute=compute,
        family="brittle",
        output=0,
        description="The series, but for one period.",
        lookback_text="0",
    )
    monkeypatch.setitem(registry._OPERATIONS, operation.name, operation)
    period = {"name": "fast_period", "type": "TYPE_INT", "minimum": 1, "maximum": 100}
    return {
        "definition": {
            "parameters": [period],
            "enter_long": "close >= brittle(close, fast_period)",
            "exit_long": "close < sma(close, 5)",
        }
    }
