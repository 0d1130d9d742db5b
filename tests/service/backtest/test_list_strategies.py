"""ListStrategies: the service describes itself."""

from __future__ import annotations

from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import metrics_pb2, strategy_pb2

from tests.service.backtest.calls import Stub, refusal


async def test_strategies_come_by_name_with_their_parameters(worker: Stub) -> None:
    """Every built-in strategy is listed in order, with typed, bounded, described parameters."""
    answer = await worker.ListStrategies(pb.ListStrategiesRequest())

    assert [strategy.name for strategy in answer.strategies] == [
        f"strategies/{name}"
        for name in (
            "bollinger_reversion",
            "buy_and_hold",
            "donchian_breakout",
            "ma_crossover",
            "macd",
            "rsi_reversion",
        )
    ]
    crossover = {info.name: info for info in answer.strategies[3].parameters}
    fast, average = crossover["fast_period"], crossover["average"]
    assert (fast.type, fast.unit) == (strategy_pb2.ParameterInfo.TYPE_INT, "bars")
    assert fast.minimum == 1
    assert fast.default_value.WhichOneof("kind") == "int_value"
    assert list(average.categories) == ["sma", "ema"]
    assert average.default_value.category_value == "sma"
    assert not average.HasField("minimum")
    assert answer.next_page_token == ""


async def test_execution_parameters_that_are_off_have_no_default(worker: Stub) -> None:
    """A stop is off unless given, and so is each way to size a position: one of them is chosen."""
    answer = await worker.ListStrategies(pb.ListStrategiesRequest())

    execution = {info.name: info for info in answer.execution_parameters}
    assert not execution["stop_loss_ratio"].HasField("default_value")
    assert {"leverage", "position_fraction_ratio", "position_quote"} <= set(execution)
    assert not any(info.HasField("default_value") for info in execution.values())


async def test_metrics_are_named_in_the_order_of_their_fields(worker: Stub) -> None:
    """The list of metrics is the contract's message, field by field."""
    answer = await worker.ListStrategies(pb.ListStrategiesRequest())

    fields = [field.name for field in metrics_pb2.Metrics.DESCRIPTOR.fields]
    assert list(answer.metrics) == [name for name in fields if name != "undefined"]


async def test_pages_join_to_the_whole_list(worker: Stub) -> None:
    """Following the tokens gives every strategy once; the last page has no token."""
    whole = await worker.ListStrategies(pb.ListStrategiesRequest(page_size=5_000))
    names, token, pages = [], "", 0
    while pages == 0 or token:
        request = pb.ListStrategiesRequest(page_size=4, page_token=token)
        answer = await worker.ListStrategies(request)
        names += [strategy.name for strategy in answer.strategies]
        token = answer.next_page_token
        pages += 1

    assert names == [strategy.name for strategy in whole.strategies]
    assert pages == 2


async def test_a_wrong_page_is_refused_with_both_fields(worker: Stub) -> None:
    """A negative size and a token of nobody are told at once."""
    request = pb.ListStrategiesRequest(page_size=-1, page_token="nonsense")

    error = await refusal(worker.ListStrategies(request))

    assert error.reason == "FIELD_INVALID"
    assert error.domain == "backtest.assay"
    assert [item.field for item in error.violations] == ["page_size", "page_token"]
