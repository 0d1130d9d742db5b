"""How likely what a walk forward earned is luck, over real gRPC: what runs again, what is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import SPA
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.optimizer.core.analysis.luck.resampling import seed_of
from tests.service.optimizer.conftest import Optimizer, StartOptimizer
from tests.service.optimizer.earning_worker import EarningWorker
from tests.service.optimizer.scripted_returns import returns_of

WALK = {"in_sample": {"days": 120}, "out_of_sample": {"days": 60}}
Kind = study_pb2.LuckWarning.Kind


@pytest.fixture
def spec(random_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a walk forward of four windows, 10 trials each."""
    return random_spec | {"random": {"trial_count": 10}, "walk_forward": WALK}


@pytest.fixture
async def optimizer(start: StartOptimizer) -> Optimizer:
    """Return an optimizer whose walks earn out of sample."""
    started: Optimizer = await start(worker=EarningWorker())
    return started


async def reported(optimizer: Optimizer, name: str, **request: Any) -> study_pb2.StudyReport:
    """Return a study's report."""
    answer = await optimizer.stub.GetStudyReport(
        pb.GetStudyReportRequest(name=name, **request), timeout=30
    )
    return answer.report


def daily_returns(curve: Any) -> Any:
    """Return the returns from midnight to midnight of a curve drawn whole, without gaps."""
    seen = dict(zip(curve.time_ms, curve.reset_equity_quote, strict=True))
    days = sorted(time for time in seen if time % 86_400_000 == 0)
    equity = np.array([seen[day] for day in days])
    return equity[1:] / equity[:-1] - 1


async def test_luck_is_about_the_stitched_curve(
    start: StartOptimizer, spec: dict[str, Any]
) -> None:
    """Its daily returns, the winners' trades; the ledger deflates, one walk does not."""
    optimizer = await start(worker=EarningWorker())
    # 82 days in hours are drawn whole.
    walk = {"in_sample": {"days": 284}, "out_of_sample": {"days": 41}}
    study = await optimizer.finished(spec | {"walk_forward": walk})
    report = await reported(optimizer, study.name)
    luck, curve = report.luck, report.walk_forward.stitched_curve

    returns = daily_returns(curve)
    assert len(report.walk_forward.windows) == 2
    assert luck.day_count == curve.reset.day_count == len(returns) == 82
    sharpe = returns.mean() / returns.std(ddof=1)
    assert luck.daily_sharpe_ratio == pytest.approx(sharpe)
    assert luck.daily_sharpe_ratio == pytest.approx(curve.reset.sharpe_ratio / math.sqrt(365))
    spread = returns - returns.mean()
    skewness = (spread**3).mean() / (spread**2).mean() ** 1.5
    kurtosis = (spread**4).mean() / (spread**2).mean() ** 2
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    probability = 0.5 * math.erfc(-sharpe * math.sqrt(81 / variance) / math.sqrt(2))
    assert luck.probabilistic_sharpe_ratio == pytest.approx(probability, rel=1e-9)
    assert luck.walk_count == 1
    assert luck.walk_expected_max_sharpe_ratio == 0
    assert luck.walk_deflated_sharpe_ratio == luck.probabilistic_sharpe_ratio
    assert luck.trial_count == report.ledger.evaluated_trial_count > 0
    assert luck.trial_sharpe_variance == report.ledger.daily_sharpe_variance
    assert luck.deflated_sharpe_ratio < luck.probabilistic_sharpe_ratio
    assert luck.trade_count == 18
    assert luck.trial == ""
    assert not luck.HasField("neighborhood")
    directly = SPA(
        np.zeros(82),
        -returns,
        block_size=9,
        reps=1_000,
        bootstrap="stationary",
        seed=np.random.default_rng(seed_of("superior ability", "cash")),
    )
    directly.compute()
    cash = luck.superior_ability.cash
    assert cash.consistent_p_value == pytest.approx(directly.pvalues["consistent"], abs=0.002)
    assert luck.superior_ability.buy_and_hold.undefined_reason == "NO_BENCHMARK"
    told = {one.name: one for one in luck.intervals.intervals}
    assert told["sharpe_ratio"].value == pytest.approx(curve.reset.sharpe_ratio)
    assert told["sharpe_ratio"].lower < told["sharpe_ratio"].value < told["sharpe_ratio"].upper
    assert not luck.HasField("cross_validation")
    assert Kind.KIND_FEW_TRADES in {one.kind for one in luck.warnings}
    failed = not report.walk_forward.passed
    assert (Kind.KIND_WALK_NOT_PASSED in {one.kind for one in luck.warnings}) == failed


async def test_each_windows_trials_are_run_again_over_its_in_sample_bars(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Cross-validated apart and pooled; correlations are those of each window's own trials."""
    study = await optimizer.finished(spec)
    luck = (await reported(optimizer, study.name)).luck
    trials: list[list[study_pb2.Trial]] = [[], [], [], []]
    for one in await optimizer.trials(study.name):
        if one.state == study_pb2.Trial.STATE_COMPLETE:
            trials[one.window_number].append(one)

    spans = [one.in_sample.snapshot for one in study.spec.walk_forward.windows]
    assert sorted(one.snapshot.window.start_time.seconds for one in optimizer.worker.reruns) == [
        span.window.start_time.seconds for span in spans
    ]
    assert all(one.snapshot in spans for one in optimizer.worker.reruns)
    found = luck.overfitting
    assert [one.window_number for one in found.windows] == [0, 1, 2, 3]
    assert [one.trial_count for one in found.windows] == [len(some) for some in trials]
    assert (found.trial_count, found.complete_trial_count) == (sum(map(len, trials)),) * 2
    assert found.combination_count == 4 * 12_870
    assert (found.block_count, found.block_day_count) == (16, 0)
    assert found.windows[0].block_day_count == 22
    pooled = np.mean([one.probability for one in found.windows])
    assert found.probability == pytest.approx(pooled)
    rho = []
    for some in trials:
        points = [{one.name: one.value.int_value for one in trial.parameters} for trial in some]
        matrix = np.corrcoef([returns_of(point) for point in points])
        rho.append((matrix.sum() - len(some)) / (len(some) * (len(some) - 1)))
    assert luck.trial_correlation == pytest.approx(np.mean(rho), rel=1e-9)


async def test_nothing_is_run_twice_nor_unwanted(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Without luck nothing runs again; a second report is the first one."""
    study = await optimizer.finished(spec)
    assert not (await reported(optimizer, study.name, luck=False)).HasField("luck")
    assert not optimizer.worker.reruns
    first = await reported(optimizer, study.name)
    count = len(optimizer.worker.reruns)
    second = await reported(optimizer, study.name)
    assert count == len(optimizer.worker.reruns) == 4
    assert first == second


async def test_every_other_study_counts_as_a_walk(
    optimizer: Optimizer, spec: dict[str, Any], grid_spec: dict[str, Any]
) -> None:
    """One more study on the dataset with the strategy: the curve may be the better of two."""
    study = await optimizer.finished(spec)
    alone = (await reported(optimizer, study.name)).luck
    other = await optimizer.finished(grid_spec)
    await optimizer.stub.DeleteStudy(pb.DeleteStudyRequest(name=other.name))
    later = (await reported(optimizer, study.name)).luck

    assert (alone.walk_count, later.walk_count) == (1, 2)
    assert later.probabilistic_sharpe_ratio == alone.probabilistic_sharpe_ratio
    assert later.walk_deflated_sharpe_ratio < alone.walk_deflated_sharpe_ratio


async def test_without_a_winner_there_is_no_luck(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Every window infeasible: the windows say so, nothing is run."""
    study = await optimizer.finished(spec | {"constraints": ["trade_count >= 9999"]})
    report = await reported(optimizer, study.name)

    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert report.HasField("walk_forward")
    assert not report.HasField("luck")
    assert not optimizer.worker.reruns


async def test_a_curve_without_returns_is_told_as_such(
    start: StartOptimizer, spec: dict[str, Any]
) -> None:
    """Winners that trade nothing out of sample: no Sharpe ratio, and said so."""
    optimizer = await start()
    study = await optimizer.finished(spec)
    luck = (await reported(optimizer, study.name)).luck

    assert not luck.HasField("daily_sharpe_ratio")
    assert not luck.HasField("walk_deflated_sharpe_ratio")
    assert luck.trade_count == 0
    assert luck.verdict == study_pb2.LuckReport.VERDICT_LIKELY_LUCK
    assert [one.kind for one in luck.warnings][:2] == [
        Kind.KIND_SHARPE_NOT_POSITIVE,
        Kind.KIND_WALK_DEFLATED_SHARPE_LOW,
    ]
