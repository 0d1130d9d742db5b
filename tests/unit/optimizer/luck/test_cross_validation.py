"""Combinatorial purged cross-validation: against days and trials one by one, on noise and edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.cross_validation import (
    CrossValidation,
    CrossValidationPlan,
    cross_validation,
    splits_of,
)
from services.optimizer.core.analysis.luck.day_blocks import (
    DayBlocks,
    halving_edges,
    halving_moments,
)
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments

Summed = Callable[..., ReturnMoments]

PLANS = [
    CrossValidationPlan(3, 1, 0, 0),
    CrossValidationPlan(5, 2, 1, 3),
    CrossValidationPlan(6, 3, 2, 0),
    CrossValidationPlan(6, 2, 0, 9),
    # Purge and embargo longer than a group.
    CrossValidationPlan(8, 1, 9, 11),
]


def moments_by(returns: Numbers, blocks: DayBlocks) -> ReturnMoments:
    """Return the moments of returns, shape (trials, days), over blocks of any lengths."""
    parts = [returns[:, begin:end] for begin, end in pairwise(blocks.edges)]
    return ReturnMoments(
        day_count=returns.shape[1],
        dropped_day_count=blocks.edges[0],
        block_day_count=0,
        sums=np.array([part.sum(axis=1) for part in parts]).T,
        squares=np.array([(part**2).sum(axis=1) for part in parts]).T,
        standardized=np.zeros(returns.shape[1]),
        standardized_count=0,
    )


def found_in(returns: Numbers, plan: CrossValidationPlan) -> CrossValidation:
    """Cross-validate returns."""
    days = returns.shape[1]
    blocks = DayBlocks.along([*plan.cuts(days), *halving_edges(days)], days)
    return cross_validation(moments_by(returns, blocks), blocks, plan)


def sharpe(returns: list[float]) -> float:
    """Return mean over sample deviation a year; 0 where nothing varies."""
    mean = math.fsum(returns) / len(returns)
    if len(set(returns)) == 1:
        return 0.0
    squares = math.fsum((one - mean) ** 2 for one in returns)
    return mean / math.sqrt(squares / (len(returns) - 1)) * math.sqrt(365)


def training_days(plan: CrossValidationPlan, days: int, tested: tuple[int, ...]) -> list[int]:
    """Return the days that may be trained on, looked at one by one."""
    edges = [group * days // plan.group_count for group in range(plan.group_count + 1)]
    return [
        day
        for day in range(days)
        if not any(
            edges[group] - plan.purge_days <= day < edges[group + 1] + plan.embargo_days
            for group in tested
        )
    ]


def reference(returns: Numbers, plan: CrossValidationPlan) -> tuple[list[float], float, int]:
    """Return the paths, the mean Sharpe ratio trained on and the trials chosen, day by day."""
    rows = [list(map(float, row)) for row in returns]
    days = len(rows[0])
    edges = [group * days // plan.group_count for group in range(plan.group_count + 1)]
    paths: list[dict[int, list[float]]] = [{} for _ in range(plan.path_count)]
    inside, best_ones = [], []
    for tested in combinations(range(plan.group_count), plan.test_group_count):
        kept = training_days(plan, days, tested)
        ratios = [sharpe([row[day] for day in kept]) for row in rows]
        best = ratios.index(max(ratios))
        inside.append(ratios[best])
        best_ones.append(best)
        for group in tested:
            path = next(one for one in paths if group not in one)
            path[group] = rows[best][edges[group] : edges[group + 1]]
    strung = [[x for group in sorted(path) for x in path[group]] for path in paths]
    assert all(len(path) == days for path in strung)
    return [sharpe(path) for path in strung], math.fsum(inside) / len(inside), len(set(best_ones))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("trials", [2, 7])
def test_it_is_what_the_slow_way_finds(plan: CrossValidationPlan, trials: int) -> None:
    """With equal trials and constant ones, groups of different lengths; every day once a path."""
    rng = np.random.default_rng(100 * plan.group_count + trials)
    # Multiples of 1/1024 are summed without rounding: equal stays equal in both ways.
    returns = rng.integers(-20, 21, (trials, 71)) / 1024
    returns[-1] = returns[0]
    if trials > 2:
        returns[1] = 0.0
    found = found_in(returns, plan)
    paths, inside, chosen = reference(returns, plan)
    assert found.undefined_reason == ""
    assert len(paths) == plan.path_count == len(found.path_sharpes)
    np.testing.assert_allclose(found.path_sharpes, paths, rtol=1e-9, atol=1e-12)
    assert found.mean_training_sharpe == pytest.approx(inside, rel=1e-9)
    assert found.chosen_count == chosen


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("days", [71, 100])
def test_no_day_near_a_tested_one_is_trained_on(plan: CrossValidationPlan, days: int) -> None:
    """Each choice trains on all other days and on no day within purge and embargo."""
    blocks = DayBlocks.along(plan.cuts(days), days)
    splits = splits_of(plan, blocks)
    choices = list(combinations(range(plan.group_count), plan.test_group_count))
    assert len(splits.days) == plan.split_count == len(choices)
    for place, tested in enumerate(choices):
        spans = zip(pairwise(blocks.edges), splits.trained[place], strict=True)
        trained = [day for (begin, end), on in spans if on for day in range(begin, end)]
        assert trained == training_days(plan, days, tested)
        assert splits.days[place] == len(trained)
        assert np.flatnonzero(splits.tested[place]).tolist() == list(tested)
    # Each group is tested in as many choices as there are paths: once in each.
    assert set(splits.tested.sum(axis=0)) == {plan.path_count}


USUAL = CrossValidationPlan(10, 2, 1, 5)


def test_noise_earns_nothing_on_other_days() -> None:
    """Over forty markets without an edge paths are about 0, though the chosen ones looked good."""
    means, inside = [], []
    for seed in range(40):
        found = found_in(np.random.default_rng(seed).normal(0.0, 0.01, (40, 365)), USUAL)
        assert found.mean is not None
        means.append(found.mean)
        inside.append(found.mean_training_sharpe)
    assert abs(np.mean(means)) < 0.3
    assert np.mean(inside) > 1.5


def test_an_edge_is_found_again() -> None:
    """One of forty trials earns for real: every path has its Sharpe ratio, in every market."""
    for seed in range(10):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, (40, 730))
        returns[17] += 0.003
        found = found_in(returns, USUAL)
        assert found.chosen_count == 1
        assert found.losing_ratio == 0.0
        own = returns[17].mean() / returns[17].std(ddof=1) * math.sqrt(365)
        np.testing.assert_allclose(found.path_sharpes, own, rtol=1e-9)


@pytest.mark.parametrize(
    ("trials", "days", "plan", "reason"),
    [
        (5, 19, USUAL, "TOO_FEW_DAYS"),
        (5, 0, USUAL, "TOO_FEW_DAYS"),
        (1, 365, USUAL, "TOO_FEW_TRIALS"),
        (5, 365, CrossValidationPlan(10, 2, 1, 400), "TOO_FEW_TRAINING_DAYS"),
        (5, 20, CrossValidationPlan(10, 2, 0, 0), ""),
    ],
)
def test_what_cannot_be_told_is_said_to_be(
    trials: int, days: int, plan: CrossValidationPlan, reason: str
) -> None:
    """Too little to divide, to choose from, to choose by."""
    found = found_in(np.random.default_rng(1).normal(0.0, 0.01, (trials, days)), plan)
    assert found.undefined_reason == reason
    assert (found.mean is None) == (found.losing_ratio is None) == bool(reason)


@pytest.mark.parametrize("days", [5, 16, 33, 365])
def test_finer_blocks_halve_days_as_equal_ones_do(days: int, summed: Summed) -> None:
    """The probability of overfitting is over the same days, whatever else they are cut for."""
    returns = np.random.default_rng(days).integers(-20, 21, (4, days)) / 1024
    plan = CrossValidationPlan(7, 2, 1, 2)
    blocks = DayBlocks.along([*halving_edges(days), *plan.cuts(days)], days)
    assert sum(blocks.lengths) == days - blocks.edges[0]
    assert min(blocks.lengths) > 0
    found, expected = halving_moments(moments_by(returns, blocks), blocks), summed(returns)
    np.testing.assert_array_equal(found.sums, expected.sums)
    np.testing.assert_array_equal(found.squares, expected.squares)
    assert (found.block_day_count, found.dropped_day_count) == (
        expected.block_day_count,
        expected.dropped_day_count,
    )


def test_all_that_may_be_asked_fits_into_a_call() -> None:
    """Most groups, with purge and embargo between all of them: no more blocks than workers take."""
    for apart in (1, 3, 17, 60):
        plan = CrossValidationPlan(16, 4, apart, 2 * apart + 1)
        blocks = DayBlocks.along([*halving_edges(1_999), *plan.cuts(1_999)], 1_999)
        assert len(blocks.lengths) <= 128
