"""RunBacktest: metrics, trades and curve of one set, with everything that was used echoed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import execution_pb2, metrics_pb2, strategy_pb2

from services.common.errors import Code
from services.common.frames_codec import ms_from_timestamp
from tests.service.backtest.calls import DATASET, Stub, refusal, run_request
from tests.service.backtest.in_memory_data import (
    HOUR_MS,
    START_MS,
    InMemoryData,
    random_market,
    without_rows,
)

Reason = metrics_pb2.UndefinedReason


def _parameters(answer: pb.RunBacktestResponse) -> dict[str, Any]:
    return {
        item.name: getattr(item.value, item.value.WhichOneof("kind") or "")
        for item in answer.parameters
    }


async def test_everything_used_is_echoed_with_its_defaults(worker: Stub) -> None:
    """Strategy, parameters in the strategy's order, then execution parameters given, and model."""
    given = [
        {"name": "stop_loss_ratio", "value": {"double_value": 0.05}},
        {"name": "slow_period", "value": {"int_value": "21"}},
    ]
    answer = await worker.RunBacktest(
        run_request(parameters=given, execution={"slippage_bps": 2.0})
    )

    assert answer.strategy == strategy_pb2.StrategyChoice(
        name="strategies/ma_crossover", direction=strategy_pb2.DIRECTION_LONG
    )
    assert list(_parameters(answer).items()) == [
        ("fast_period", 10),
        ("slow_period", 21),
        ("average", "sma"),
        ("stop_loss_ratio", 0.05),
    ]
    model = execution_pb2.ExecutionModel
    assert answer.execution == model(
        initial_capital_quote=10_000.0,
        taker_fee_bps=5.5,
        take_profit_fee_bps=5.5,
        slippage_bps=2.0,
        position_fraction_ratio=1.0,
        stop_loss_ratio=0.05,
        intrabar_policy=model.INTRABAR_POLICY_STOP_FIRST,
        target_fill=model.TARGET_FILL_LIMIT,
        max_entry_count=1,
    )


async def test_the_echo_replays_to_the_same_answer(worker: Stub) -> None:
    """What an answer says was used is a request for the same answer, bit for bit."""
    parameters = [
        {"name": "average", "value": {"category_value": "ema"}},
        {"name": "trailing_stop_ratio", "value": {"double_value": 0.03}},
    ]
    answer = await worker.RunBacktest(run_request(parameters=parameters))

    again = await worker.RunBacktest(
        pb.RunBacktestRequest(
            snapshot=answer.snapshot,
            strategy=answer.strategy,
            parameters=answer.parameters,
            execution=answer.execution,
        )
    )

    assert again == answer


async def test_a_summary_tells_metrics_only(worker: Stub) -> None:
    """Without a detail neither trades nor the curve are sent."""
    answer = await worker.RunBacktest(run_request())

    assert answer.metrics.trade_count > 0
    assert not answer.trades
    assert not answer.HasField("equity_curve")


async def test_trades_add_up_to_the_metrics(worker: Stub) -> None:
    """Closed trades come in order, the open one last; their profits are the account's profit."""
    request = run_request(
        detail="DETAIL_TRADES", strategy={"name": "strategies/ma_crossover", "direction": 3}
    )
    answer = await worker.RunBacktest(request)

    closed = [trade for trade in answer.trades if trade.HasField("exit_time")]
    metrics = answer.metrics
    assert len(closed) == metrics.trade_count
    assert [trade.HasField("exit_time") for trade in answer.trades[:-1]] == [True] * (
        len(answer.trades) - 1
    )
    profit = sum(trade.net_profit_quote for trade in answer.trades)
    assert profit == pytest.approx(metrics.net_profit_quote, rel=1e-9)
    shorts = sum(trade.side == strategy_pb2.DIRECTION_SHORT for trade in closed)
    assert (shorts, len(closed) - shorts) == (metrics.short_trade_count, metrics.long_trade_count)
    for trade in closed:
        held_ms = ms_from_timestamp(trade.exit_time) - ms_from_timestamp(trade.entry_time)
        assert held_ms == trade.bars_held * HOUR_MS
        assert trade.exit_reason == pb.Trade.EXIT_REASON_SIGNAL
    assert not answer.HasField("equity_curve")


async def test_the_curve_has_every_bar_of_the_window(worker: Stub, data: InMemoryData) -> None:
    """Columns of equal length over the window without its lookback; the end is the final equity."""
    snapshot = {"dataset": DATASET, "window": {"start_time": "2024-01-05T00:00:00Z"}}
    answer = await worker.RunBacktest(run_request(snapshot=snapshot, detail="DETAIL_EQUITY_CURVE"))

    curve = answer.equity_curve
    times = data.datasets[DATASET].open_time_ms
    assert list(curve.open_time_ms) == times[times >= START_MS + 4 * 24 * HOUR_MS].tolist()
    columns = (curve.equity_quote, curve.position_base, curve.drawdown_ratio)
    assert {len(column) for column in columns} == {answer.bar_count}
    assert curve.equity_quote[-1] == answer.metrics.final_equity_quote
    assert max(curve.drawdown_ratio) == answer.metrics.max_drawdown_ratio
    assert answer.trades


async def test_a_curve_too_long_for_one_message_is_refused(
    worker: Stub, data: InMemoryData
) -> None:
    """Over 100,000 bars the trades are told, the curve is not."""
    data.datasets[DATASET] = random_market(100_001)

    refused = await refusal(worker.RunBacktest(run_request(detail="DETAIL_EQUITY_CURVE")))
    answer = await worker.RunBacktest(run_request(detail="DETAIL_TRADES"))

    assert [item.field for item in refused.violations] == ["detail"]
    assert answer.trades


async def test_a_metric_without_a_value_is_unset_and_says_why(worker: Stub) -> None:
    """On 25 days without a trade: no growth rate and no win rate, never a zero or a NaN."""
    answer = await worker.RunBacktest(
        run_request(
            parameters=[{"name": "slow_period", "value": {"int_value": "10"}}],
        )
    )

    metrics: Any = answer.metrics
    assert metrics.trade_count == 0
    why = {item.metric: item.reason for item in metrics.undefined}
    assert why["cagr_ratio"] == Reason.UNDEFINED_REASON_TOO_FEW_OBSERVATIONS
    assert why["win_rate_ratio"] == Reason.UNDEFINED_REASON_NO_TRADES
    assert why["sharpe_ratio"] == Reason.UNDEFINED_REASON_NO_VARIANCE
    fields = [field.name for field in metrics.DESCRIPTOR.fields if field.name != "undefined"]
    assert [name for name in fields if not metrics.HasField(name)] == [
        item.metric for item in metrics.undefined
    ]
    assert all(np.isfinite(getattr(metrics, name)) for name in fields if name not in why)


async def test_the_first_decision_is_the_close_of_the_first_defined_bar(worker: Stub) -> None:
    """Without history a crossing of 20 bars needs 21 of them; with history, one of the window."""
    cold = await worker.RunBacktest(run_request())
    warm = await worker.RunBacktest(
        run_request(snapshot={"dataset": DATASET, "window": {"start_time": "2024-01-05T00:00:00Z"}})
    )

    assert ms_from_timestamp(cold.first_decision_time) == START_MS + 21 * HOUR_MS
    assert ms_from_timestamp(warm.first_decision_time) == START_MS + (4 * 24 + 1) * HOUR_MS


async def test_a_window_without_a_decision_is_refused_with_counts(worker: Stub) -> None:
    """Too long a period for the candles is told with what it needs and what there is."""
    parameters = [{"name": "slow_period", "value": {"int_value": "600"}}]

    error = await refusal(worker.RunBacktest(run_request(parameters=parameters)))

    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT")
    assert error.domain == "backtest.assay"
    assert int(error.metadata["needed_bar_count"]) > int(error.metadata["available_bar_count"])


async def test_too_little_history_asked_for_is_a_wrong_field(worker: Stub) -> None:
    """Fewer bars before the window than the strategy needs, though there are more: refused."""
    snapshot = {
        "dataset": DATASET,
        "window": {"start_time": "2024-01-05T00:00:00Z"},
        "lookback_bar_count": 19,
    }

    error = await refusal(worker.RunBacktest(run_request(snapshot=snapshot)))

    assert error.reason == "FIELD_INVALID"
    assert [item.field for item in error.violations] == ["snapshot.lookback_bar_count"]


async def test_values_that_make_no_sense_together_are_wrong_fields(worker: Stub) -> None:
    """A lower threshold above the upper one is told at the parameter given."""
    request = run_request(
        strategy={"name": "strategies/rsi_reversion"},
        parameters=[{"name": "lower", "value": {"double_value": 80.0}}],
    )

    error = await refusal(worker.RunBacktest(request))

    assert error.reason == "FIELD_INVALID"
    assert [item.field for item in error.violations] == ["parameters[0]"]


async def test_missing_bars_are_counted(worker: Stub, data: InMemoryData) -> None:
    """A gap of ten bars is told with the answer."""
    data.datasets[DATASET] = without_rows(random_market(600), 300, 310)

    answer = await worker.RunBacktest(run_request())

    assert (answer.bar_count, answer.missing_bar_count) == (590, 10)


async def test_real_data_are_not_called_synthetic(worker: Stub, data: InMemoryData) -> None:
    """The mark of made-up data comes from the data service."""
    data.datasets["datasets/file.real.1h"] = random_market(100)

    answer = await worker.RunBacktest(run_request(snapshot={"dataset": "datasets/file.real.1h"}))

    assert not answer.synthetic


async def test_at_most_ten_thousand_trades_are_listed(worker: Stub, data: InMemoryData) -> None:
    """More trades are counted as omitted; listed and omitted ones are all there are."""
    data.datasets[DATASET] = random_market(60_000)
    parameters = [
        {"name": "fast_period", "value": {"int_value": "1"}},
        {"name": "slow_period", "value": {"int_value": "2"}},
    ]
    answer = await worker.RunBacktest(run_request(parameters=parameters, detail="DETAIL_TRADES"))

    assert len(answer.trades) == 10_000
    assert answer.omitted_trade_count > 0
    open_now = 10_000 + answer.omitted_trade_count - answer.metrics.trade_count
    assert open_now in {0, 1}
