"""The execution model over the wire: judged whole, and told whole."""

from __future__ import annotations

from tests.service.backtest.calls import Stub, batch_request, refusal, run_request
from tests.service.backtest.in_memory_data import InMemoryData


async def test_every_wrong_execution_field_is_told_at_once(
    worker: Stub, data: InMemoryData
) -> None:
    """Numbers, tiers, rules, series and what means nothing alone, each by its path."""
    execution = {
        "initial_capital_quote": 0,
        "liquidation_fee_bps": -1,
        "position_quote": 1e13,
        "position_quantity_base": 1,
        "volatility_period_bars": 1,
        "max_entry_count": 101,
        "slippage_ticks": 1,
        "risk_tiers": [
            {"notional_limit_quote": 5, "maintenance_margin_ratio": 0},
            {"notional_limit_quote": 4, "maintenance_margin_ratio": 0.01, "deduction_quote": -1},
        ],
        "instrument": {"quantity_step_base": 0, "minimum_quantity_base": -1},
        "funding": {"content_digest": "x"},
        "mark": {"dataset": "BTC"},
    }
    error = await refusal(worker.RunBacktest(run_request(execution=execution)))

    assert error.reason == "FIELD_INVALID"
    assert {item.field for item in error.violations} == {
        f"execution.{name}"
        for name in (
            "initial_capital_quote",
            "liquidation_fee_bps",
            "position_quote",
            "position_quantity_base",
            "volatility_period_bars",
            "max_entry_count",
            "slippage_ticks",
            "risk_tiers",
            "risk_tiers[0].maintenance_margin_ratio",
            "risk_tiers[1].notional_limit_quote",
            "risk_tiers[1].deduction_quote",
            "instrument.quantity_step_base",
            "instrument.minimum_quantity_base",
            "funding.dataset",
            "funding.content_digest",
            "mark.dataset",
        )
    }
    assert (data.requests, data.funding_requests) == ([], [])


async def test_a_whole_model_is_echoed_and_can_be_sent_again(worker: Stub) -> None:
    """What a feature fills in is told with it: tiers with leverage, a period with a target."""
    levered = await worker.RunBacktest(run_request(execution={"leverage": 2}))
    aimed = await worker.RunBacktest(
        run_request(
            execution={
                "volatility_target_ratio": 0.5,
                "instrument": {"tick_size_quote": 0.1},
                "size_on_initial_capital": True,
            }
        )
    )
    again = run_request()
    again.execution.CopyFrom(aimed.execution)
    again.snapshot.CopyFrom(aimed.snapshot)

    assert [tier.maintenance_margin_ratio for tier in levered.execution.risk_tiers] == [0.005]
    assert levered.execution.HasField("liquidation_fee_bps")
    assert levered.execution.position_fraction_ratio == 1
    assert not aimed.execution.HasField("position_fraction_ratio")
    assert (aimed.execution.volatility_period_bars, aimed.execution.slippage_ticks) == (30, 0)
    assert aimed.execution.HasField("slippage_ticks")
    assert await worker.RunBacktest(again) == aimed


async def test_a_size_given_per_set_leaves_none_to_fill_in(worker: Stub) -> None:
    """The batch's model says what the request says: its echo can be sent with the same columns."""
    column = {"name": "position_quote", "double_values": {"values": [100.0, 200.0]}}
    request = batch_request(
        [5, 6],
        columns=[{"name": "fast_period", "int_values": {"values": [5, 6]}}, column],
    )
    answer = await worker.RunBacktestBatch(request)
    request.execution.CopyFrom(answer.execution)

    assert not answer.execution.HasField("position_fraction_ratio")
    assert not answer.failures
    assert (await worker.RunBacktestBatch(request)).columns == answer.columns
