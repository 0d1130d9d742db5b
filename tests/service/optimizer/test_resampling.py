"""Resampling and cross-validation in reports, over real gRPC: whose returns, which options."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2
from assay.optimizer.v1.resampling_pb2 import CrossValidationOptions

from services.common.errors import Code
from services.optimizer.adapters.analysis.bootstrap import ArchBootstrap
from services.optimizer.core.analysis.luck.intervals import intervals
from services.optimizer.core.analysis.luck.returns import Numbers
from services.optimizer.core.analysis.luck.superior_ability import BenchmarkTest, superior_ability
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_returns import DAY_COUNT, HELD, returns_of

Refused = Callable[[Any], Any]


async def reported(optimizer: Optimizer, name: str, **cross: Any) -> study_pb2.LuckReport:
    """Return how likely a study's best trial is luck."""
    request = pb.GetStudyReportRequest(
        name=name,
        recommendation=False,
        cross_validation=CrossValidationOptions(**cross) if cross else None,
    )
    return (await optimizer.stub.GetStudyReport(request, timeout=60)).report.luck


async def complete_returns(optimizer: Optimizer, name: str) -> tuple[Numbers, list[str]]:
    """Return the daily returns of all complete trials, shape (trials, days), and their names."""
    trials = [
        one for one in await optimizer.trials(name) if one.state == study_pb2.Trial.STATE_COMPLETE
    ]
    points = [{one.name: one.value.int_value for one in trial.parameters} for trial in trials]
    return np.array([returns_of(point) for point in points]), [one.name for one in trials]


def told(test: BenchmarkTest) -> list[float]:
    """Return p-values."""
    assert test.p_values is not None
    return [test.p_values.lower, test.p_values.consistent, test.p_values.upper]


async def test_tests_and_intervals_are_of_the_trials_own_returns(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """All trials against cash and buy-and-hold, the best one's scatter."""
    study = await optimizer.finished(grid_spec)
    luck = await reported(optimizer, study.name)
    returns, names = await complete_returns(optimizer, study.name)
    expected = superior_ability(returns, HELD, ArchBootstrap())
    found = luck.superior_ability
    assert (found.trial_count, found.repetition_count, found.block_day_count) == (
        len(returns),
        1_000,
        19,
    )
    for message, test in ((found.cash, expected.cash), (found.buy_and_hold, expected.buy_and_hold)):
        assert told(test) == [
            message.lower_p_value,
            message.consistent_p_value,
            message.upper_p_value,
        ]
        assert message.compared_trial_count == len(returns)
    own = returns[names.index(luck.trial)]
    scatter = intervals(own, DAY_COUNT, ArchBootstrap())
    assert [(one.name, one.value, one.lower, one.upper) for one in luck.intervals.intervals] == [
        (one.name, one.value, one.lower, one.upper) for one in scatter.intervals
    ]
    assert (luck.intervals.block_day_count, luck.intervals.confidence_ratio) == (19, 0.9)


def paths_of(returns: Numbers) -> list[float]:
    """Cross-validate five groups, one at a time, with a day before and four behind left out."""
    edges = [group * DAY_COUNT // 5 for group in range(6)]
    path = []
    for begin, end in pairwise(edges):
        near = range(begin - 1, end + 4)
        kept = returns[:, [day for day in range(DAY_COUNT) if day not in near]]
        best = (kept.mean(axis=1) / kept.std(axis=1, ddof=1)).argmax()
        path.append(returns[best, begin:end])
    strung = np.concatenate(path)
    return [strung.mean() / strung.std(ddof=1) * math.sqrt(365)]


async def test_cross_validation_is_as_asked_for(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Defaults are filled in, the lookback among them; options change what they say."""
    study = await optimizer.finished(grid_spec)
    usual = (await reported(optimizer, study.name)).cross_validation
    bars = study.spec.data[0].lookback_bar_count
    assert bars > 0
    assert (usual.group_count, usual.test_group_count, usual.purge_days) == (10, 2, 1)
    assert usual.embargo_days == -(-bars // 24)
    assert (usual.split_count, usual.path_count) == (45, 9)
    paths = np.array(usual.path_sharpe_ratios)
    assert len(paths) == 9
    assert usual.mean_path_sharpe_ratio == paths.mean()
    assert usual.path_sharpe_deviation == paths.std(ddof=1)
    assert usual.lowest_path_sharpe_ratio == paths.min()
    assert usual.median_path_sharpe_ratio == np.median(paths)
    assert usual.highest_path_sharpe_ratio == paths.max()
    assert usual.losing_path_ratio == (paths < 0).mean()

    other = await reported(
        optimizer, study.name, group_count=5, test_group_count=1, purge_days=1, embargo_days=4
    )
    found = other.cross_validation
    returns, _ = await complete_returns(optimizer, study.name)
    assert list(found.path_sharpe_ratios) == pytest.approx(paths_of(returns), rel=1e-9)
    assert not found.HasField("path_sharpe_deviation")
    assert found.fewest_training_days == 365 - 73 - 5

    without = await reported(optimizer, study.name, wanted=False)
    assert not without.HasField("cross_validation")
    assert without.superior_ability == other.superior_ability
    assert without.intervals == other.intervals
    assert without.overfitting.probability == other.overfitting.probability


async def test_an_embargo_that_leaves_nothing_to_learn_from_is_told(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Nothing is made up, nor held against the result."""
    study = await optimizer.finished(random_spec)
    luck = await reported(optimizer, study.name, embargo_days=400)
    found = luck.cross_validation
    assert found.undefined_reason == "TOO_FEW_TRAINING_DAYS"
    assert not found.HasField("mean_path_sharpe_ratio")
    assert not found.path_sharpe_ratios
    weak = study_pb2.LuckWarning.KIND_CROSS_VALIDATION_WEAK
    assert weak not in {one.kind for one in luck.warnings}


async def test_trials_are_run_again_once_for_all_of_it(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """One call tells returns and the blocks of every statistic; one more is buy-and-hold's."""
    study = await optimizer.finished(grid_spec)
    await reported(optimizer, study.name)
    asked = [one for one in optimizer.worker.reruns if one.HasField("return_statistics")]
    holding, trials = asked
    assert (holding.strategy.name, holding.set_count) == ("strategies/buy_and_hold", 1)
    assert holding.snapshot == trials.snapshot
    assert sum(trials.return_statistics.block_day_counts) == DAY_COUNT


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"group_count": 2}, ["group_count"]),
        ({"group_count": 17, "test_group_count": 0}, ["group_count", "test_group_count"]),
        ({"group_count": 3, "test_group_count": 2}, ["test_group_count"]),
        ({"group_count": 16, "test_group_count": 8}, ["test_group_count"]),
        (
            {"test_group_count": 6, "purge_days": -1, "embargo_days": 10_001},
            ["test_group_count", "purge_days", "embargo_days"],
        ),
    ],
)
async def test_senseless_options_are_refused_at_once(
    optimizer: Optimizer, refused: Refused, options: dict[str, Any], fields: list[str]
) -> None:
    """All of them together, even for a study there is none of."""
    request = pb.GetStudyReportRequest(
        name="studies/none", cross_validation=CrossValidationOptions(**options)
    )
    error = await refused(optimizer.stub.GetStudyReport(request))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [one.field for one in error.violations] == [f"cross_validation.{one}" for one in fields]
