"""What to do with a study's result, over real gRPC: choices, their evidence, the verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import recommendation_pb2, study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_worker import refusal

Refused = Callable[[Any], Any]
Choice = recommendation_pb2.Choice
Recommendation = recommendation_pb2.Recommendation
Reason = recommendation_pb2.RecommendationReason

BOTH = [
    {"metric": "total_return_ratio", "direction": "DIRECTION_MAXIMIZE"},
    {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
]


def landscape(values: Mapping[str, int | float | str]) -> dict[str, float] | None:
    """Return a plateau of good sets around (35, 140) and one that is far better alone."""
    fast, slow = float(values["fast_period"]), float(values["slow_period"])
    one, other = abs(fast - 35) / 5, abs(slow - 140) / 20
    sharpe = 1.6 - 0.01 * (one + other) if max(one, other) <= 2 else 0.2
    if (fast, slow) == (10, 60):
        sharpe = 4.0
    return {
        "sharpe_ratio": sharpe,
        "skewness": -0.3,
        "excess_kurtosis": 2.0,
        "total_return_ratio": sharpe / 5 - 0.02 * (slow == 120) + fast / 1_000,
        "max_drawdown_ratio": 0.05 + fast / 200 + slow / 10_000,
        "trade_count": 40 if slow <= 160 else 20,
    }


async def reported(optimizer: Optimizer, name: str, **request: Any) -> study_pb2.StudyReport:
    """Return a study's report."""
    answer = await optimizer.stub.GetStudyReport(
        pb.GetStudyReportRequest(name=name, **request), timeout=30
    )
    return answer.report


def by_kind(told: Recommendation) -> dict[Any, Any]:
    """Return the choices by their kinds."""
    return {one.kind: one for one in told.choices}


def point_of(holder: Any) -> dict[str, int]:
    """Return the parameters of a trial or a choice, whole numbers all of them."""
    return {one.name: one.value.int_value for one in holder.parameters}


async def test_the_plateau_is_judged_and_not_the_spike(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """The choices are those of the trials, looked through one by one."""
    optimizer.worker.earns = landscape
    study = await optimizer.finished(grid_spec)
    told = (await reported(optimizer, study.name)).recommendation
    trials = await optimizer.trials(study.name)
    found = by_kind(told)

    assert [one.kind for one in told.choices] == [1, 2, 3, 4, 5]
    assert not told.absent_choices
    assert point_of(found[Choice.KIND_BEST_OBJECTIVE]) == {"fast_period": 10, "slow_period": 60}
    assert point_of(found[Choice.KIND_BEST_NEIGHBORHOOD]) == {"fast_period": 35, "slow_period": 140}
    assert told.judged == Choice.KIND_BEST_NEIGHBORHOOD
    often = [one for one in trials if one.metrics.trade_count >= 30]
    merits: dict[Any, Callable[[Any], float]] = {
        Choice.KIND_CONSERVATIVE: lambda m: -m.max_drawdown_ratio,
        Choice.KIND_BALANCED: lambda m: m.total_return_ratio / m.max_drawdown_ratio,
        Choice.KIND_AGGRESSIVE: lambda m: m.total_return_ratio,
    }
    for kind, merit in merits.items():
        best = max(often, key=lambda one: (merit(one.metrics), -one.number))
        assert found[kind].trial == best.name
        assert found[kind].metrics == best.metrics
        assert list(found[kind].parameters) == list(best.parameters)
        assert list(found[kind].objective_values) == list(best.objective_values)
    for one in told.choices:
        same = [other.kind for other in told.choices if other.trial == one.trial]
        assert list(one.same_as) == [kind for kind in same if kind != one.kind]
        assert one.reason.endswith(".")


async def test_the_evidence_is_of_each_choice(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Neighbours, Sharpe ratios, what it keeps of the best, by formulas written down anew."""
    optimizer.worker.earns = landscape
    study = await optimizer.finished(grid_spec)
    report = await reported(optimizer, study.name)
    normal, count = statistics.NormalDist(), report.ledger.evaluated_trial_count
    maximum = 0.42278433509846714 * normal.inv_cdf(1 - 1 / count)
    maximum += 0.5772156649015329 * normal.inv_cdf(1 - 1 / (count * math.e))
    maximum *= math.sqrt(report.ledger.daily_sharpe_variance)
    assert len(report.recommendation.choices) == 5
    for one in report.recommendation.choices:
        evidence, metrics, point = one.evidence, one.metrics, point_of(one)
        sharpe = metrics.sharpe_ratio / math.sqrt(365)
        spread = math.sqrt(1 + 0.3 * sharpe + (5.0 - 1) / 4 * sharpe**2)
        told = normal.cdf(sharpe * math.sqrt(364) / spread)
        assert evidence.probabilistic_sharpe_ratio == pytest.approx(told, rel=1e-12)
        told = normal.cdf((sharpe - maximum) * math.sqrt(364) / spread)
        assert evidence.deflated_sharpe_ratio == pytest.approx(told, rel=1e-9)
        assert evidence.best_kept_ratio == metrics.sharpe_ratio / 4.0
        assert evidence.trade_count == metrics.trade_count
        assert evidence.max_drawdown_ratio == metrics.max_drawdown_ratio
        paid = metrics.total_return_ratio / metrics.max_drawdown_ratio
        assert evidence.return_over_drawdown_ratio == paid
        around = [
            landscape({"fast_period": fast, "slow_period": slow})
            for fast in range(5, 51, 5)
            for slow in range(20, 201, 20)
            if abs(fast - point["fast_period"]) <= 5
            and abs(slow - point["slow_period"]) <= 20
            and (fast, slow) != (point["fast_period"], point["slow_period"])
            and fast < slow
        ]
        values = [one["sharpe_ratio"] for one in around if one]
        near = evidence.neighborhood
        assert near.neighbor_count == near.defined_neighbor_count == len(values)
        assert near.median_value == statistics.median(values)
        assert near.worst_kept_ratio == min(values) / metrics.sharpe_ratio
        assert near.mean_kept_ratio == pytest.approx(
            statistics.fmean(values) / metrics.sharpe_ratio
        )
        assert near.weak is (2 * near.median_value < metrics.sharpe_ratio)
    assert report.recommendation.choices[0].evidence.neighborhood.weak


async def test_the_verdict_follows_from_the_reasons(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """What luck says is among them, only where it is asked for; the text tells all of them."""
    optimizer.worker.earns = landscape
    study = await optimizer.finished(grid_spec)
    report = await reported(optimizer, study.name)
    told, luck = report.recommendation, report.luck
    kinds = {one.kind: one for one in told.reasons}
    weights = {
        study_pb2.LuckReport.VERDICT_LIKELY_LUCK: Reason.WEIGHT_AGAINST,
        study_pb2.LuckReport.VERDICT_INCONCLUSIVE: Reason.WEIGHT_DOUBT,
        study_pb2.LuckReport.VERDICT_PROMISING: Reason.WEIGHT_FOR,
    }
    assert kinds[Reason.KIND_LUCK].weight == weights[luck.verdict]
    assert all(one.message in told.text for one in told.reasons)
    assert [one.weight for one in told.reasons] == sorted(one.weight for one in told.reasons)
    assert int(told.verdict) == int(told.reasons[0].weight)

    alone = (await reported(optimizer, study.name, luck=False)).recommendation
    assert [one.kind for one in alone.reasons if one.kind == Reason.KIND_LUCK] == []
    assert Reason.KIND_UNPROVEN in {one.kind for one in alone.reasons}
    assert alone.verdict == Recommendation.VERDICT_CAUTION
    assert alone.recommended == alone.judged == Choice.KIND_BEST_NEIGHBORHOOD
    assert alone.choices == told.choices


async def test_what_loses_is_not_recommended(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Then there are no choices by money either, and the report says why."""
    optimizer.worker.earns = lambda values: {
        **(landscape(values) or {}),
        "total_return_ratio": -0.1,
    }
    study = await optimizer.finished(grid_spec)
    told = (await reported(optimizer, study.name, luck=False)).recommendation
    assert told.verdict == Recommendation.VERDICT_NOT_RECOMMENDED
    assert told.recommended == Choice.KIND_UNSPECIFIED
    assert told.judged == Choice.KIND_BEST_NEIGHBORHOOD
    assert [one.kind for one in told.choices] == [1, 2]
    assert [one.kind for one in told.absent_choices] == [3, 4, 5]
    assert told.reasons[0].kind == Reason.KIND_PROFIT
    assert "nothing here is worth trading" in told.text


async def test_without_a_feasible_trial_there_is_nothing_to_choose(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """That is told, and nothing is run for it."""
    spec = grid_spec | {"constraints": ["fast_period < slow_period", "trade_count >= 5000"]}
    study = await optimizer.finished(spec)
    told = (await reported(optimizer, study.name)).recommendation
    assert told.verdict == Recommendation.VERDICT_NOT_RECOMMENDED
    assert (told.judged, told.recommended) == (0, 0)
    assert [one.kind for one in told.reasons] == [Reason.KIND_NOTHING_FEASIBLE]
    assert not told.choices
    assert not optimizer.worker.reruns


async def test_a_front_offers_its_knee_and_its_extremes(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """As the trade-offs tell them; no neighbours are run, and luck is not known."""
    optimizer.worker.earns = landscape
    study = await optimizer.finished(grid_spec | {"objectives": BOTH})
    report = await reported(optimizer, study.name)
    told = report.recommendation
    assert [one.kind for one in told.choices] == [6, 7, 8, 8]
    assert [one.trial for one in told.choices[:2]] == [
        report.pareto.knee_trial,
        report.pareto.best_rank_trial,
    ]
    assert [one.objective for one in told.choices[2:]] == [one["metric"] for one in BOTH]
    front = report.pareto.trade_offs
    assert told.choices[2].objective_values[0] == max(one.objective_values[0] for one in front)
    assert told.choices[3].objective_values[1] == min(one.objective_values[1] for one in front)
    assert all(one.evidence.HasField("deflated_sharpe_ratio") for one in told.choices)
    assert not any(one.evidence.HasField("neighborhood") for one in told.choices)
    assert told.judged == Choice.KIND_KNEE
    assert Reason.KIND_UNPROVEN in {one.kind for one in told.reasons}
    assert len(optimizer.worker.reruns) == 1


async def test_a_walk_forward_offers_its_latest_winner_and_the_middle(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Honestly: the walk is the evidence, and nothing is run for it."""
    walk = {"in_sample": {"days": 120}, "out_of_sample": {"days": 60}}
    study = await optimizer.finished(
        random_spec | {"random": {"trial_count": 10}, "walk_forward": walk}
    )
    report = await reported(optimizer, study.name, luck=False)
    told, windows = report.recommendation, report.walk_forward.windows
    latest, stable = told.choices
    assert (latest.kind, stable.kind) == (9, 10)
    assert latest.trial == windows[-1].winner
    assert list(latest.parameters) == list(windows[-1].parameters)
    assert latest.metrics == windows[-1].in_sample
    assert not latest.HasField("evidence")
    assert (stable.trial, list(stable.objective_values)) == ("", [])
    for one in stable.parameters[:2]:
        values = sorted(
            each.value.int_value
            for window in windows
            for each in window.parameters
            if each.name == one.name
        )
        assert one.value.int_value == values[1]
    weight = Reason.WEIGHT_FOR if report.walk_forward.passed else Reason.WEIGHT_AGAINST
    assert [(one.kind, one.weight) for one in told.reasons] == [(Reason.KIND_WALK_FORWARD, weight)]
    assert not optimizer.worker.reruns
    # The luck of its out-of-sample curve is a reason of its own.
    lucky = (await reported(optimizer, study.name)).recommendation
    assert Reason.KIND_LUCK in {one.kind for one in lucky.reasons}


async def test_it_is_told_where_wanted_and_remembered(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Unwanted it costs nothing; the second time nothing is run."""
    optimizer.worker.earns = landscape
    study = await optimizer.finished(grid_spec)
    without = await reported(optimizer, study.name, luck=False, recommendation=False)
    assert not without.HasField("recommendation")
    assert not optimizer.worker.reruns
    first = await reported(optimizer, study.name, luck=False)
    count = len(optimizer.worker.reruns)
    assert count > 0
    assert max(one.set_count for one in optimizer.worker.reruns) <= 250
    second = await reported(optimizer, study.name, luck=False)
    assert len(optimizer.worker.reruns) == count
    assert first.recommendation == second.recommendation


async def test_workers_that_are_away_fail_it(
    optimizer: Optimizer, grid_spec: dict[str, Any], refused: Refused
) -> None:
    """With who says why; nothing wrong is remembered."""
    optimizer.worker.earns = landscape
    study = await optimizer.finished(grid_spec)
    optimizer.worker.probe_failure = refusal(
        Code.ABORTED, "DATASET_CHANGED", domain="data.assay", wanted_digest="a", actual_digest="b"
    )
    request = pb.GetStudyReportRequest(name=study.name, luck=False)
    error = await refused(optimizer.stub.GetStudyReport(request))
    assert (error.reason, error.domain) == ("DATASET_CHANGED", "data.assay")
    optimizer.worker.probe_failure = None
    assert (await reported(optimizer, study.name)).HasField("recommendation")
