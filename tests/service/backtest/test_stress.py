"""Stress tests and permuted bars through the wire."""

from __future__ import annotations

from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import stress_pb2
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

BARS = {"snapshot": {"dataset": DATASET}, "metrics": ["total_return_ratio", "sharpe_ratio"]}


def stress_request(**fields: Any) -> stress_pb2.RunStressTestRequest:
    """Return a request to put one crossover under stress, with the fields given instead."""
    usual = json_format.MessageToDict(run_request(), preserving_proto_field_name=True)
    return json_format.ParseDict(usual | fields, stress_pb2.RunStressTestRequest())


async def test_everything_is_done_unasked(worker: Stub) -> None:
    """With the defaults the contract tells."""
    answer = await worker.RunStressTest(stress_request())
    assert [one.factor for one in answer.costs] == [1.0, 2.0, 3.0]
    assert answer.delay.bar_count == 1
    assert (answer.noise.variant_count, answer.noise.noise_ratio) == (100, 0.001)
    assert not answer.noise.columns
    assert (answer.drops.variant_count, answer.drops.drop_probability) == (1_000, 0.1)
    assert answer.entry_permutation.variant_count == 1_000
    assert 0.0 < answer.entry_permutation.p_value <= 1.0
    assert answer.bar_count == 600
    assert answer.snapshot.content_digest


async def test_costs_are_what_a_run_with_them_tells(worker: Stub) -> None:
    """Bit for bit, and the base is the run itself."""
    model = {"taker_fee_bps": 4.0, "slippage_bps": 1.5, "stop_loss_ratio": 0.05}
    answer = await worker.RunStressTest(
        stress_request(execution=model, parts={"cost_factors": [2.5]})
    )
    dear = model | {"taker_fee_bps": 10.0, "slippage_bps": 3.75}
    alone = await worker.RunBacktest(run_request(execution=dear))
    plain = await worker.RunBacktest(run_request(execution=model))
    assert answer.costs[0].metrics == alone.metrics
    assert answer.base == plain.metrics


async def test_a_seed_gives_equal_bits_on_every_worker(
    worker: Stub, start_worker: StartWorker, data_port: int
) -> None:
    """Another seed gives others."""
    other: Stub = await start_worker(data_port)
    fields: dict[str, Any] = {"seed": "77", "metrics": ["sharpe_ratio"]}
    first = await worker.RunStressTest(stress_request(**fields))
    assert first == await other.RunStressTest(stress_request(**fields))
    again = await worker.RunStressTest(stress_request(**fields | {"seed": "78"}))
    assert first.base == again.base
    assert first.noise != again.noise
    assert first.drops != again.drops
    assert first.entry_permutation.total_return_ratio != again.entry_permutation.total_return_ratio
    assert len(first.noise.columns[0].values) == 100


async def test_parts_are_left_out(worker: Stub) -> None:
    """Where their count is 0."""
    counts = ("delay_bars", "noise_count", "drop_count", "entry_permutation_count")
    answer = await worker.RunStressTest(stress_request(parts=dict.fromkeys(counts, 0)))
    for name in ("delay", "noise", "drops", "entry_permutation"):
        assert not answer.HasField(name)


async def test_everything_wrong_is_told_at_once(worker: Stub) -> None:
    """With what is wrong with the run."""
    request = stress_request(
        strategy={"name": "strategies/ma_crossing"},
        parts={
            "cost_factors": [1.0, 11.0, "NaN"],
            "delay_bars": -1,
            "noise_ratio": 0.6,
            "noise_count": 201,
            "drop_probability": 1.5,
            "drop_count": 10_001,
            "entry_permutation_count": -1,
        },
        seed="-1",
        metrics=["sharp_ratio"],
    )
    error = await refusal(worker.RunStressTest(request))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {one.field for one in error.violations} == {
        "strategy.name",
        "parts.cost_factors[1]",
        "parts.cost_factors[2]",
        "parts.delay_bars",
        "parts.noise_ratio",
        "parts.noise_count",
        "parts.drop_probability",
        "parts.drop_count",
        "parts.entry_permutation_count",
        "seed",
        "metrics[0]",
    }


async def test_an_unknown_strategy_alone_is_not_found(worker: Stub) -> None:
    """As of a backtest."""
    error = await refusal(
        worker.RunStressTest(stress_request(strategy={"name": "strategies/ma_crossing"}))
    )
    assert (error.code, error.reason) == (Code.NOT_FOUND, "STRATEGY_UNKNOWN")


async def test_permuted_bars_are_another_market(
    worker: Stub, start_worker: StartWorker, data_port: int
) -> None:
    """The same for the same seed on every worker, in one call and in two, the snapshot kept."""

    async def run(stub: Stub, fast: list[int], **fields: Any) -> pb.RunBacktestBatchResponse:
        return await stub.RunBacktestBatch(batch_request(fast, **BARS, **fields))

    plain = await run(worker, [3, 5, 9])
    one = await run(worker, [3, 5, 9], bar_permutation_seed="5")
    other: Stub = await start_worker(data_port)
    assert one == await run(other, [3, 5, 9], bar_permutation_seed="5")
    assert one.columns != plain.columns
    assert one.columns != (await run(worker, [3, 5, 9], bar_permutation_seed="6")).columns
    assert one.snapshot == plain.snapshot
    last = await run(worker, [9], bar_permutation_seed="5")
    assert last.columns[0].values[0] == one.columns[0].values[2]
    cut = await run(worker, [3], bar_permutation_seed="5", bar_limit="200")
    assert cut.bar_count == 200


async def test_holding_permuted_bars_earns_the_same(worker: Stub) -> None:
    """A market ends where it ended."""
    fields: dict[str, Any] = {
        "snapshot": {"dataset": DATASET},
        "strategy": {"name": "strategies/buy_and_hold"},
        "set_count": 1,
        "metrics": ["final_equity_quote"],
        "execution": {"taker_fee_bps": 0.0},
    }
    values = []
    for seed in ({}, {"bar_permutation_seed": "9"}):
        request = json_format.ParseDict(fields | seed, pb.RunBacktestBatchRequest())
        values.append((await worker.RunBacktestBatch(request)).columns[0].values[0])
    # The first decision is at the first close: what the second open is differs.
    assert values[0] == pytest.approx(values[1], rel=0.1)
    negative = batch_request([5], bar_permutation_seed="-1")
    error = await refusal(worker.RunBacktestBatch(negative))
    assert [one.field for one in error.violations] == ["bar_permutation_seed"]
