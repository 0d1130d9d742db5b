"""Bad requests: one error that names every violation by its path, and a service that goes on."""

from __future__ import annotations

from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import execution_pb2

from services.common.errors import AssayError, Code
from tests.service.backtest.calls import Stub, batch_request, refusal, run_request
from tests.service.backtest.in_memory_data import InMemoryData

WHOLE = {"int_value": "5"}


def _fields(error: AssayError) -> list[str]:
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert error.domain == "backtest.assay"
    return sorted(item.field for item in error.violations)


async def test_a_backtest_with_many_mistakes_is_refused_once_with_all_of_them(
    worker: Stub, data: InMemoryData
) -> None:
    """Every wrong field is in one error, and nobody was asked for candles."""
    request = run_request(
        snapshot={
            "dataset": "bybit.linear.btcusdt.1h",
            "window": {"start_time": "2024-02-01T00:00:00Z", "end_time": "2024-01-01T00:00:00Z"},
            "lookback_bar_count": -1,
            "content_digest": "ABC",
        },
        parameters=[
            {"name": "fast_perod", "value": WHOLE},
            {"name": "slow_period", "value": {"double_value": 5.0}},
            {"name": "average", "value": {"category_value": "median"}},
            {"name": "average", "value": {"category_value": "sma"}},
            {"name": "stop_loss_ratio"},
            {"name": "take_profit_ratio", "value": {"double_value": "NaN"}},
        ],
        execution={"slippage_bps": -1, "taker_fee_bps": "Infinity"},
    )
    request.strategy.direction = 9  # type: ignore[assignment]
    request.detail = 8  # type: ignore[assignment]
    request.execution.intrabar_policy = 7  # type: ignore[assignment]

    error = await refusal(worker.RunBacktest(request))

    assert _fields(error) == [
        "detail",
        "execution.intrabar_policy",
        "execution.slippage_bps",
        "execution.taker_fee_bps",
        "parameters[0].name",
        "parameters[1].value",
        "parameters[2].value",
        "parameters[3].name",
        "parameters[4].value",
        "parameters[5].value",
        "snapshot.content_digest",
        "snapshot.dataset",
        "snapshot.lookback_bar_count",
        "snapshot.window.end_time",
        "strategy.direction",
    ]
    assert all(item.description for item in error.violations)
    assert data.requests == []


async def test_a_batch_with_many_mistakes_is_refused_once_with_all_of_them(worker: Stub) -> None:
    """Columns are checked for name, kind, length, bounds, words and doubles."""
    request = batch_request(
        [5, 6, 7],
        columns=[
            {"name": "fast_period", "int_values": {"values": [5, 0, 7]}},
            {"name": "slow_period", "double_values": {"values": [20, 30, 40]}},
            {"name": "average", "category_values": {"categories": ["sma"], "indexes": [0, 1, 0]}},
            {"name": "stop_loss_ratio", "double_values": {"values": [0.1, 0.2]}},
            {"name": "trailing_stop_ratio", "double_values": {"values": [0.1, "NaN", 0.1]}},
            {"name": "take_profit_ratio"},
            {"name": "nonsense", "int_values": {"values": [1, 2, 3]}},
        ],
        fixed_parameters=[
            {"name": "fast_period", "value": WHOLE},
            {"name": "position_fraction_ratio", "value": {"double_value": 1.5}},
        ],
        metrics=["sharp_ratio", "trade_count", "trade_count"],
    )

    error = await refusal(worker.RunBacktestBatch(request))

    assert _fields(error) == [
        "columns[0].int_values",
        "columns[1].double_values",
        "columns[2].category_values.indexes",
        "columns[3].double_values",
        "columns[4].double_values",
        "columns[5].double_values",
        "columns[6].name",
        "fixed_parameters[0].name",
        "fixed_parameters[1].value",
        "metrics[0]",
        "metrics[2]",
    ]
    told = {item.field: item.description for item in error.violations}
    assert "'sharpe_ratio'" in told["metrics[0]"]
    assert "set 1" in told["columns[0].int_values"]
    assert "columns[0]" in told["fixed_parameters[0].name"]


@pytest.mark.parametrize("count", [0, -1, 10_001])
async def test_the_number_of_sets_is_bounded(worker: Stub, count: int) -> None:
    """No set, fewer than none and more than ten thousand are refused, whatever the columns hold."""
    error = await refusal(worker.RunBacktestBatch(batch_request([5], columns=[], set_count=count)))

    assert _fields(error) == ["set_count"]


async def test_an_unknown_strategy_is_not_found_with_its_neighbours(worker: Stub) -> None:
    """The nearest names come as metadata; the parameters of nobody are not judged."""
    error = await refusal(worker.RunBacktest(run_request(strategy={"name": "strategies/macdd"})))

    assert (error.code, error.reason) == (Code.NOT_FOUND, "STRATEGY_UNKNOWN")
    assert error.metadata == {"strategy": "macdd", "nearest": "macd"}


async def test_an_unknown_strategy_among_other_mistakes_is_one_of_them(worker: Stub) -> None:
    """Nothing is held back for a second round: the unknown strategy stands in the list."""
    request = batch_request([5], strategy={"name": "strategies/macdd"}, metrics=["nonsense"])

    error = await refusal(worker.RunBacktestBatch(request))

    assert _fields(error) == ["metrics[0]", "strategy.name"]


@pytest.mark.parametrize("name", ["", "ma_crossover"])
async def test_a_strategy_is_named_in_full(worker: Stub, name: str) -> None:
    """A bare or missing name is a wrong field."""
    error = await refusal(worker.RunBacktest(run_request(strategy={"name": name})))

    assert _fields(error) == ["strategy.name"]


async def test_rules_between_execution_fields_name_the_place_of_the_parameter(worker: Stub) -> None:
    """An activation without a trailing stop is told where it was given."""
    given = {"name": "trailing_activation_ratio", "value": {"double_value": 0.1}}

    as_parameter = await refusal(worker.RunBacktest(run_request(parameters=[given])))
    as_field = await refusal(
        worker.RunBacktest(run_request(execution={"trailing_activation_ratio": 0.1}))
    )

    assert _fields(as_parameter) == ["parameters[0]"]
    assert _fields(as_field) == ["execution.trailing_activation_ratio"]


async def test_a_trailing_stop_in_a_column_makes_the_activation_meaningful(worker: Stub) -> None:
    """Rules between fields look at the sets as they will run, not at the bare model."""
    column = {"name": "trailing_stop_ratio", "double_values": {"values": [0.05, 0.1]}}
    request = batch_request(
        [5, 6],
        columns=[{"name": "fast_period", "int_values": {"values": [5, 6]}}, column],
        execution={"trailing_activation_ratio": 0.02},
    )

    answer = await worker.RunBacktestBatch(request)

    assert not answer.failures


@pytest.mark.parametrize(
    ("time", "field"),
    [
        ({"start_time": "2024-01-01T00:00:00.0000005Z"}, "start_time"),
        ({"end_time": "2024-01-01T00:00:00.000001Z"}, "end_time"),
    ],
)
async def test_times_are_whole_milliseconds(worker: Stub, time: Any, field: str) -> None:
    """A finer time is refused, not rounded."""
    snapshot = {"dataset": "datasets/synthetic.walk.1h", "window": time}

    error = await refusal(worker.RunBacktest(run_request(snapshot=snapshot)))

    assert _fields(error) == [f"snapshot.window.{field}"]


async def test_a_required_snapshot_and_strategy_are_missed(worker: Stub) -> None:
    """An empty request is told what it lacks."""
    error = await refusal(worker.RunBacktest(pb.RunBacktestRequest()))

    assert _fields(error) == ["snapshot.dataset", "strategy.name"]


async def test_the_service_goes_on_after_refusals(worker: Stub) -> None:
    """A refused call leaves no trace."""
    await refusal(worker.RunBacktest(pb.RunBacktestRequest()))

    answer = await worker.RunBacktest(run_request())

    assert answer.bar_count == 600
    assert answer.execution.intrabar_policy == (
        execution_pb2.ExecutionModel.INTRABAR_POLICY_STOP_FIRST
    )
