"""The best trial under stress, over real gRPC: what workers are asked, what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.backtest.v1 import stress_pb2
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import stress_pb2 as report_pb2
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_worker import permuted_bonus, refusal

Refused = Callable[[Any], Any]
Kind = report_pb2.StressWarning


async def reported(optimizer: Optimizer, name: str, **stress: Any) -> study_pb2.StudyReport:
    """Return a study's report without luck."""
    request = pb.GetStudyReportRequest(
        name=name, luck=False, stress=report_pb2.StressOptions(**stress)
    )
    answer = await optimizer.stub.GetStudyReport(request, timeout=30)
    return answer.report


async def test_the_best_trial_is_put_under_stress_unasked(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """With its own parameters; objectives and what they keep are worked out from the answer."""
    study = await optimizer.finished(random_spec)
    answer = await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))
    report, best = answer.report.stress, answer.report.best_trials[0]
    (asked,) = optimizer.worker.stress_tests
    assert list(asked.parameters) == list(best.parameters)
    assert asked.snapshot == study.spec.data[0]
    assert asked.execution == study.spec.execution
    assert list(asked.metrics) == ["sharpe_ratio"]
    value = best.objective_values[0]
    assert (report.trial, report.objective_value) == (best.name, value)
    assert report.total_return_ratio == 0.25
    assert [one.cost_factor for one in report.costs] == [1.0, 2.0, 3.0]
    assert [one.objective_kept_ratio for one in report.costs] == pytest.approx([1.4, 0.9, 0.4])
    assert report.delay.delay_bars == 1
    assert report.delay.objective_value == pytest.approx(value * 0.1)
    assert not report.delay.HasField("cost_factor")
    assert report.noise.objective.defined_count == 3
    assert report.noise.median_kept_ratio == pytest.approx(0.7)
    assert report.drops.variant_count == 1_000
    assert not report.HasField("bar_permutation")
    assert [one.kind for one in report.warnings] == [
        Kind.KIND_DELAY_FRAGILE,
        Kind.KIND_FEW_TRADES_CARRY,
        Kind.KIND_NO_BETTER_THAN_RANDOM_ENTRIES,
    ]
    assert "10%" in report.warnings[0].message


async def test_higher_costs_are_judged_by_the_smallest_factor_from_two_on(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """A worker's parts go to it as they are."""
    study = await optimizer.finished(random_spec)
    parts = stress_pb2.StressParts(cost_factors=[4.0, 3.0, 1.0], noise_count=7)
    report = await reported(optimizer, study.name, parts=parts)
    assert optimizer.worker.stress_tests[0].parts == parts
    assert report.stress.warnings[0].kind == Kind.KIND_COST_FRAGILE
    assert "3 times the costs 40%" in report.stress.warnings[0].message


async def test_nothing_is_put_under_stress_twice(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """The second report of the same trials is the first one; other parts are asked for."""
    study = await optimizer.finished(random_spec)
    first = await reported(optimizer, study.name)
    assert first.stress == (await reported(optimizer, study.name)).stress
    assert len(optimizer.worker.stress_tests) == 1
    await reported(optimizer, study.name, parts=stress_pb2.StressParts(noise_count=0))
    assert len(optimizer.worker.stress_tests) == 2
    seeds = {one.seed for one in optimizer.worker.stress_tests}
    assert len(seeds) == 1


@pytest.mark.parametrize(
    "search",
    [
        {"random": {"trial_count": 40}},
        {"bayesian": {"trial_count": 40}},
        {"cma_es": {"trial_count": 40}},
    ],
    ids=["random", "bayesian", "cma_es"],
)
async def test_the_search_is_run_again_on_permuted_bars(
    optimizer: Optimizer, random_spec: dict[str, Any], search: dict[str, Any]
) -> None:
    """Whole, and nothing of it is stored; a better market counts against the study."""
    spec = {key: value for key, value in random_spec.items() if key != "random"} | search
    if "cma_es" in search:
        del spec["generation_size"]
    study = await optimizer.finished(spec)
    before = await optimizer.trials(study.name)
    report = await reported(optimizer, study.name, bar_permutation_count=6)
    found, best = report.stress.bar_permutation, report.best_trials[0].objective_values[0]
    seeds = dict.fromkeys(optimizer.worker.permuted)
    assert len(seeds) == found.variant_count == len(found.best_values) == 6
    assert found.trial_count == 40
    # What is added to all trials of a market changes no choice of the search.
    wanted = sorted(best + permuted_bonus(seed) for seed in seeds)
    assert sorted(found.best_values) == pytest.approx(wanted)
    as_good = sum(value >= best for value in found.best_values)
    assert found.p_value == (1 + as_good) / 7
    assert await optimizer.trials(study.name) == before
    count = len(optimizer.worker.permuted)
    again = await reported(optimizer, study.name, bar_permutation_count=4)
    assert again.stress.bar_permutation.best_values == found.best_values[:4]
    assert len(optimizer.worker.permuted) == count


async def test_stress_is_not_told_unwanted_nor_of_several_objectives(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Then no worker is asked either."""
    study = await optimizer.finished(random_spec)
    assert not (await reported(optimizer, study.name, wanted=False)).HasField("stress")
    both = random_spec | {
        "objectives": [
            {"metric": "sharpe_ratio", "direction": "DIRECTION_MAXIMIZE"},
            {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
        ]
    }
    other = await optimizer.finished(both)
    assert not (await reported(optimizer, other.name)).HasField("stress")
    never = await optimizer.finished(random_spec | {"constraints": ["trade_count >= 10000"]})
    assert not (await reported(optimizer, never.name)).HasField("stress")
    assert not optimizer.worker.stress_tests


async def test_everything_wrong_with_the_options_is_told_at_once(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Beside what is wrong with the rest of the request."""
    parts = stress_pb2.StressParts(
        cost_factors=[-1.0],
        delay_bars=1_001,
        noise_ratio=-0.1,
        noise_count=201,
        drop_probability=2.0,
        drop_count=-1,
        entry_permutation_count=10_001,
    )
    options = report_pb2.StressOptions(parts=parts, bar_permutation_count=101)
    error = await refused(
        optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name="x", stress=options))
    )
    names = (
        "cost_factors[0]",
        "delay_bars",
        "noise_ratio",
        "noise_count",
        "drop_probability",
        "drop_count",
        "entry_permutation_count",
    )
    assert error.code is Code.INVALID_ARGUMENT
    assert {one.field for one in error.violations} == {
        "name",
        "stress.bar_permutation_count",
        *(f"stress.parts.{name}" for name in names),
    }


async def test_data_that_changed_fail_the_report(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """With who says so; the next report is whole."""
    study = await optimizer.finished(random_spec)
    optimizer.worker.probe_failure = refusal(
        Code.ABORTED, "DATASET_CHANGED", domain="data.assay", wanted_digest="a", actual_digest="b"
    )
    request = pb.GetStudyReportRequest(name=study.name, luck=False)
    error = await refused(optimizer.stub.GetStudyReport(request))
    assert (error.reason, error.domain) == ("DATASET_CHANGED", "data.assay")
    optimizer.worker.probe_failure = None
    assert (await reported(optimizer, study.name)).HasField("stress")
