"""CreateStudy: what it refuses, with everything that is wrong at once, and stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.errors import Code, fields_invalid
from services.common.errors import Violation as Wrong
from tests.service.optimizer.conftest import Optimizer, StartOptimizer
from tests.service.optimizer.scripted_worker import DATASET, refusal

Refused = Callable[[Any], Any]


async def test_everything_wrong_is_told_at_once(optimizer: Optimizer, refused: Refused) -> None:
    """Of the request, the data, the execution model, the parameters and the search."""
    spec = {
        "data": [
            {
                "dataset": "BTC",
                "window": {
                    "start_time": "2024-02-01T00:00:00Z",
                    "end_time": "2024-01-01T00:00:00Z",
                },
                "lookback_bar_count": -1,
                "content_digest": "xyz",
            },
            {"dataset": DATASET},
        ],
        "strategy": {"name": "strategies/ma_crossover"},
        "execution": {"taker_fee_bps": "NaN", "stop_loss_ratio": 1.5},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 50, "high": 5}},
            {"name": "slow_period", "double_range": {"low": 1, "high": "Infinity"}},
            {"name": "average", "categories": {}},
            {"name": "fats_period", "fixed_value": {"int_value": "3"}},
            {"name": "stop_loss_ratio"},
        ],
        "constraints": ["fast_period <", "sharpe > 1"],
        "objectives": [{"metric": "sharp_ratio"}],
        "bayesian": {"trial_count": 0, "startup_trial_count": 0},
        "seed": "-1",
        "generation_size": 0,
    }
    error = await refused(optimizer.create(spec, study_id="Not An Id", request_id="x" * 65))

    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {one.field for one in error.violations} == {
        "study_id",
        "request_id",
        "spec.data_aggregation",
        "spec.data[0].dataset",
        "spec.data[0].window.end_time",
        "spec.data[0].lookback_bar_count",
        "spec.data[0].content_digest",
        "spec.execution.taker_fee_bps",
        "spec.execution.stop_loss_ratio",
        "spec.parameters[0].int_range",
        "spec.parameters[1].double_range",
        "spec.parameters[1].double_range.high",
        "spec.parameters[2].categories.values",
        "spec.parameters[3].name",
        "spec.parameters[4]",
        "spec.constraints[0]",
        "spec.constraints[1]",
        "spec.objectives[0].metric",
        "spec.bayesian.trial_count",
        "spec.bayesian.startup_trial_count",
        "spec.seed",
        "spec.generation_size",
    }


async def test_an_empty_spec_is_refused_with_what_it_needs(
    optimizer: Optimizer, refused: Refused
) -> None:
    """Every required field is named."""
    error = await refused(optimizer.create({}))

    assert {one.field for one in error.violations} == {
        "spec.data",
        "spec.strategy.name",
        "spec.parameters",
        "spec.objectives",
        "spec.search",
    }


async def test_unknown_choices_are_refused(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Numbers of enums that the contract does not have."""
    spec = json_format.ParseDict(random_spec, study_pb2.StudySpec())
    spec.strategy.direction = 9  # type: ignore[assignment]
    spec.execution.intrabar_policy = 9  # type: ignore[assignment]
    spec.execution.target_fill = 9  # type: ignore[assignment]
    spec.objectives[0].direction = 9  # type: ignore[assignment]
    error = await refused(optimizer.stub.CreateStudy(pb.CreateStudyRequest(spec=spec)))

    assert {one.field for one in error.violations} == {
        "spec.strategy.direction",
        "spec.execution.intrabar_policy",
        "spec.execution.target_fill",
        "spec.objectives[0].direction",
    }


async def test_an_unknown_strategy_is_refused_with_the_nearest(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """In the backtest service's own words; among other violations it is one of them."""
    random_spec["strategy"]["name"] = "strategies/ma_crossing"
    alone = await refused(optimizer.create(random_spec))
    among = await refused(optimizer.create(random_spec | {"seed": "-1"}))

    assert (alone.code, alone.reason) == (Code.NOT_FOUND, "STRATEGY_UNKNOWN")
    assert alone.domain == "backtest.assay"
    assert alone.metadata == {"strategy": "ma_crossing", "nearest": "ma_crossover"}
    assert {one.field for one in among.violations} == {"spec.strategy.name", "spec.seed"}


async def test_a_grid_above_the_limit_is_refused(
    start: StartOptimizer, grid_spec: dict[str, Any], refused: Refused
) -> None:
    """With both counts, after the constraints; an astronomic one at once."""
    optimizer = await start(trial_limit=89)
    small = await refused(optimizer.create(grid_spec))
    grid_spec["parameters"][0]["int_range"] = {"low": 1, "high": 10_000}
    grid_spec["parameters"][1]["int_range"] = {"low": 1, "high": 10_000}
    huge = await refused(optimizer.create(grid_spec))

    assert (small.code, small.reason) == (Code.INVALID_ARGUMENT, "GRID_TOO_LARGE")
    assert small.metadata == {"point_count": "90", "limit": "89"}
    assert huge.reason == "GRID_TOO_LARGE"
    assert huge.metadata["point_count"] == str(10**8)


async def test_a_space_without_points_is_refused(
    optimizer: Optimizer, grid_spec: dict[str, Any], refused: Refused
) -> None:
    """For a grid and for a search by chance."""
    grid_spec["constraints"] = ["fast_period > 10 * slow_period"]
    grid = await refused(optimizer.create(grid_spec))
    del grid_spec["grid"]
    chance = await refused(optimizer.create(grid_spec | {"random": {"trial_count": 5}}))

    assert [one.reason for one in (grid, chance)] == ["SPACE_INFEASIBLE"] * 2
    assert [one.code for one in (grid, chance)] == [Code.INVALID_ARGUMENT] * 2


async def test_a_window_too_short_for_the_space_is_refused(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """With the largest need of all corners."""
    optimizer.worker.window_bar_count = 100
    error = await refused(optimizer.create(random_spec))

    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT")
    assert error.metadata == {"needed_bar_count": "202", "available_bar_count": "100"}
    assert error.domain == "optimizer.assay"


@pytest.mark.parametrize(
    ("failure", "code", "reason", "domain"),
    [
        (
            refusal(Code.NOT_FOUND, "DATASET_UNKNOWN", "data.assay", dataset="x", nearest="y"),
            Code.NOT_FOUND,
            "DATASET_UNKNOWN",
            "data.assay",
        ),
        (
            refusal(Code.OUT_OF_RANGE, "WINDOW_OUTSIDE_DATASET", "data.assay"),
            Code.OUT_OF_RANGE,
            "WINDOW_OUTSIDE_DATASET",
            "data.assay",
        ),
        (
            refusal(Code.ABORTED, "DATASET_CHANGED", "data.assay"),
            Code.ABORTED,
            "DATASET_CHANGED",
            "data.assay",
        ),
        (
            refusal(Code.UNAVAILABLE, "DATA_UNAVAILABLE"),
            Code.UNAVAILABLE,
            "DATA_UNAVAILABLE",
            "optimizer.assay",
        ),
        (
            refusal(Code.UNAVAILABLE, "WORKER_BUSY"),
            Code.UNAVAILABLE,
            "NO_WORKERS",
            "optimizer.assay",
        ),
    ],
)
async def test_what_the_probe_is_refused_with_is_told(
    failure: Any,
    code: Code,
    reason: str,
    domain: str,
    optimizer: Optimizer,
    random_spec: dict[str, Any],
    refused: Refused,
) -> None:
    """Other services' reasons keep their domain; lost ones are told in the optimizer's."""
    optimizer.worker.probe_failure = failure
    error = await refused(optimizer.create(random_spec))

    assert (error.code, error.reason, error.domain) == (code, reason, domain)
    assert (error.retry_after_ms is not None) == (code is Code.UNAVAILABLE)


async def test_fields_a_worker_refuses_are_told_by_the_paths_of_the_spec(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Should a worker know a rule that the optimizer does not."""
    optimizer.worker.probe_failure = fields_invalid(
        [
            Wrong("snapshot.window", "a"),
            Wrong("execution.slippage_bps", "b"),
            Wrong("columns[1]", "c"),
            Wrong("strategy.direction", "d"),
        ]
    )
    error = await refused(optimizer.create(random_spec))

    assert [one.field for one in error.violations] == [
        "spec.data[0].window",
        "spec.execution.slippage_bps",
        "spec.parameters[1]",
        "spec.strategy.direction",
    ]
    assert error.domain == "optimizer.assay"


async def test_without_workers_nothing_is_made(
    start: StartOptimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """UNAVAILABLE with the time to wait; the service keeps serving."""
    optimizer = await start(backtest_address="127.0.0.1:1", rpc_timeout_seconds=2.0)
    error = await refused(optimizer.create(random_spec))
    studies = await optimizer.stub.ListStudies(pb.ListStudiesRequest())

    assert (error.code, error.reason) == (Code.UNAVAILABLE, "NO_WORKERS")
    assert error.retry_after_ms is not None
    assert not studies.studies


async def test_what_is_wrong_with_the_data_is_told_with_the_rest(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """An unknown dataset, strategy, metric and parameter make one error with four violations."""
    optimizer.worker.probe_failure = refusal(Code.NOT_FOUND, "DATASET_UNKNOWN", domain="data.assay")
    random_spec["strategy"]["name"] = "strategies/none"
    random_spec["objectives"] = [{"metric": "luck"}]
    error = await refused(optimizer.create(random_spec | {"seed": "-1"}))
    random_spec["objectives"] = [{"metric": "sharpe_ratio"}]
    fewer = await refused(optimizer.create(random_spec))

    assert [one.field for one in error.violations] == [
        "spec.objectives[0].metric",
        "spec.seed",
        "spec.strategy.name",
        "spec.data[0].dataset",
    ]
    assert [one.field for one in fewer.violations] == ["spec.strategy.name", "spec.data[0].dataset"]
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_lists_beyond_their_limits_are_judged_up_to_them(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """So that no request keeps the service busy: counts are told, and the first entries."""
    wrong: dict[str, Any] = {
        "data": [{"dataset": "BTC"}] * 1_000,
        "parameters": [
            {"name": "average", "categories": {"values": [f"w{n}" for n in range(10_000)]}},
            *({"name": f"p{n}", "int_range": {"low": 2, "high": 1}} for n in range(1_000)),
        ],
        "constraints": ["fast <"] * 50_000,
        "objectives": [{"metric": "x" * 1_000_000}] * 10,
    }
    spec = json_format.ParseDict(random_spec | wrong, study_pb2.StudySpec())
    error = await refused(optimizer.stub.CreateStudy(pb.CreateStudyRequest(spec=spec), timeout=20))
    studies = await optimizer.stub.ListStudies(pb.ListStudiesRequest())

    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {"spec.data", "spec.data[0].dataset", "spec.parameters"} <= {
        one.field for one in error.violations
    }
    assert not studies.studies


@pytest.mark.parametrize("step", [1e-17, 5e-324])
async def test_a_range_of_tiny_steps_can_be_searched(
    step: float, optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Its points are too many to be counted in 64 bits; nothing else is special about it."""
    del random_spec["random"]
    random_spec["parameters"].append(
        {"name": "stop_loss_ratio", "double_range": {"low": 0.01, "high": 0.5, "step": step}}
    )
    random_spec["bayesian"] = {"trial_count": 16, "startup_trial_count": 4}
    estimate = (await optimizer.estimate(random_spec)).estimate
    study = await optimizer.finished(random_spec)

    assert not estimate.HasField("space_point_count")
    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error


async def test_a_request_id_that_no_database_can_keep_is_refused(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Told with all other violations, before the store is asked for it."""
    error = await refused(optimizer.create(random_spec | {"seed": "-1"}, request_id="a\0b"))

    assert [one.field for one in error.violations] == ["request_id", "spec.seed"]
