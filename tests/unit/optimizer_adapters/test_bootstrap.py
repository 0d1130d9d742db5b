"""The bootstrap of arch: against Hansen's test written out, and on noise and edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from arch.bootstrap import StationaryBootstrap

from services.optimizer.adapters.analysis.bootstrap import ArchBootstrap
from services.optimizer.core.analysis.luck.intervals import intervals, statistics
from services.optimizer.core.analysis.luck.returns import Numbers
from services.optimizer.core.analysis.luck.superior_ability import studentized, superior_ability

BOOTSTRAP = ArchBootstrap()


def drawn_days(days: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Return the days of each of a thousand resamples."""
    drawing = StationaryBootstrap(
        int(np.sqrt(days)), np.arange(days), seed=np.random.default_rng(seed)
    )
    return [resample[0][0] for resample in drawing.bootstrap(1_000)]


def hansen(differences: Numbers, resamples: list[npt.NDArray[np.int64]]) -> list[float]:
    """Return the p-values l, c, u of Hansen (2005), section 3, with these resamples.

    Args:
        differences: What models earn above the benchmark, shape (models, days).
        resamples: The days of each.
    """
    days = differences.shape[1]
    mean = differences.mean(axis=1)
    restart = 1 / int(np.sqrt(days))
    spread = differences - mean[:, None]
    covariances = [
        np.array([(row[: days - lag] * row[lag:]).sum() / days for row in spread])
        for lag in range(days)
    ]
    variance = covariances[0].copy()
    for lag in range(1, days):
        kernel = (days - lag) / days * (1 - restart) ** lag
        kernel += lag / days * (1 - restart) ** (days - lag)
        variance += 2 * kernel * covariances[lag]
    deviation = np.sqrt(variance)
    root = np.sqrt(days)
    statistic = (root * mean / deviation).max()
    near = root * mean / deviation >= -np.sqrt(2 * np.log(np.log(days)))
    centers = (np.maximum(mean, 0.0), np.where(near, mean, 0.0), mean)
    found = []
    for center in centers:
        above = 0
        for drawn in resamples:
            shifted = differences[:, drawn].mean(axis=1) - center
            above += bool((root * shifted / deviation).max() > statistic)
        found.append(above / len(resamples))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_p_values_are_those_of_hansen(seed: int) -> None:
    """Models of very different scatter, good and bad ones, with dependent days."""
    rng = np.random.default_rng(seed)
    scatter = rng.uniform(0.002, 0.05, (12, 1))
    noise = rng.normal(0.0, 1.0, (12, 201))
    returns = scatter * (noise[:, 1:] + 0.5 * noise[:, :-1] + rng.uniform(-0.25, 0.12, (12, 1)))
    found = BOOTSTRAP.p_values(studentized(returns), 77 + seed)
    expected = hansen(returns, drawn_days(200, 77 + seed))
    told = [found.lower, found.consistent, found.upper]
    # A resample whose maximum is the statistic but for rounding may fall on either side.
    assert told == pytest.approx(expected, abs=0.0011)
    assert found.lower <= found.consistent <= found.upper


def test_a_model_that_only_scatters_more_does_not_hide_a_better_one() -> None:
    """That is what studentising is for: the p-value stays small beside wild models."""
    rng = np.random.default_rng(11)
    steady = rng.normal(0.003, 0.01, (1, 400))
    wild = rng.normal(0.0, 0.2, (20, 400))
    found = BOOTSTRAP.p_values(studentized(np.concatenate([steady, wild])), 1)
    assert found.consistent < 0.05


def test_noise_is_not_superior_and_an_edge_is() -> None:
    """Over twenty markets each: p-values are spread out without an edge, small with one."""
    without, planted = [], []
    for seed in range(20):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, (30, 200))
        test = superior_ability(returns, None, BOOTSTRAP).cash.p_values
        assert test is not None
        without.append(test.consistent)
        returns[7] += 0.004
        test = superior_ability(returns, None, BOOTSTRAP).cash.p_values
        assert test is not None
        planted.append(test.consistent)
    assert np.mean(np.array(without) < 0.05) <= 0.15
    assert 0.3 < np.mean(without) < 0.7
    assert np.mean(np.array(planted) < 0.05) >= 0.9


def test_resamples_are_blocks_of_days() -> None:
    """The statistics of the same days drawn by arch; equal seeds give equal numbers."""
    returns = np.random.default_rng(2).normal(0.001, 0.02, 150)
    found = BOOTSTRAP.resampled(returns, statistics, 5)
    expected = [statistics(returns[drawn]) for drawn in drawn_days(150, 5)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, BOOTSTRAP.resampled(returns, statistics, 5))
    assert (found != BOOTSTRAP.resampled(returns, statistics, 6)).any()


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Nine in ten of forty markets, give or take; of the mean return of a year."""
    covered = 0
    for seed in range(40):
        returns = np.random.default_rng(seed).normal(0.0004, 0.01, 400)
        told = {one.name: one for one in intervals(returns, 400, BOOTSTRAP).intervals}
        one = told["annualized_mean_return_ratio"]
        covered += one.lower <= 0.0004 * 365 <= one.upper
        assert one.lower < one.value < one.upper
    assert 30 <= covered <= 40
