"""What is promised of the statistics over many markets drawn from fixed seeds, and what follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.neighborhood import summary
from services.optimizer.core.analysis.luck.overfitting import overfitting
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments
from services.optimizer.core.analysis.luck.sharpe import (
    TrackRecord,
    min_track_record,
    probabilistic_sharpe,
)
from services.optimizer.core.analysis.luck.verdict import Evidence, Luck, luck_of
from services.optimizer.core.analysis.recommendation.evidence import ChoiceFacts, Findings, Verdict
from services.optimizer.core.analysis.recommendation.rule import judge

Summed = Callable[..., ReturnMoments]

TRIALS = 40


def record_of(returns: list[float]) -> TrackRecord:
    """Return the moments of a series, number by number."""
    count = len(returns)
    mean = math.fsum(returns) / count
    second, third, fourth = (
        math.fsum((one - mean) ** power for one in returns) / count for power in (2, 3, 4)
    )
    sharpe = mean / math.sqrt(second * count / (count - 1))
    return TrackRecord(sharpe, third / second**1.5, fourth / second**2, count)


def luck_in(returns: Numbers, moments: ReturnMoments) -> tuple[int, Luck]:
    """Return the trial with the best Sharpe ratio of a market, and how likely it is luck."""
    sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    best = int(sharpes.argmax())
    evidence = Evidence(
        record=record_of(returns[best].tolist()),
        day_count=returns.shape[1],
        trade_count=100,
        trial_count=len(returns),
        trial_variance=float(sharpes.var(ddof=1)),
        moments=moments,
        complete_count=len(returns),
        overfitting=overfitting(moments),
        neighborhood=summary([0.8, 0.9], 1.0, maximize=True),
        at_edge=(),
    )
    return best, luck_of(evidence)


def verdict_on(returns: Numbers, luck: Luck) -> Verdict:
    """Return what a recommendation would say of the best trial, knowing nothing else."""
    choice = ChoiceFacts(
        name="trial 1",
        total_return_ratio=float(np.prod(1.0 + returns) - 1.0),
        max_drawdown_ratio=0.1,
        trade_count=100,
        deflated_sharpe=luck.deflated,
    )
    return judge(
        Findings(
            choice=choice,
            luck=luck.verdict,
            luck_warnings=[one.message for one in luck.warnings],
        )
    ).verdict


def test_pure_noise_is_seen_through(summed: Summed) -> None:
    """Cross-validation is a coin toss, the deflated Sharpe ratio rejects, nothing is reasonable."""
    probabilities, deflated, verdicts = [], [], []
    for seed in range(100, 124):
        returns = np.random.default_rng(seed).normal(0.0, 0.02, (TRIALS, 365))
        best, luck = luck_in(returns, summed(returns))
        assert luck.evidence.overfitting is not None
        assert luck.deflated is not None
        probabilities.append(luck.evidence.overfitting.probability)
        deflated.append(luck.deflated)
        verdicts.append(verdict_on(returns[best], luck))
    assert 0.4 < np.mean(probabilities) < 0.6
    assert np.mean(np.array(deflated) >= 0.95) <= 0.05
    assert Verdict.REASONABLE not in verdicts
    assert verdicts.count(Verdict.NOT_RECOMMENDED) > len(verdicts) / 3


def test_a_planted_edge_is_believed(summed: Summed) -> None:
    """One trial earns for real: it is the best, no overfitting is seen, and it is reasonable."""
    for seed in range(200, 208):
        returns = np.random.default_rng(seed).normal(0.0, 0.02, (TRIALS, 730))
        returns[23] += 0.007
        best, luck = luck_in(returns, summed(returns))
        assert best == 23
        assert luck.evidence.overfitting is not None
        assert luck.evidence.overfitting.probability < 0.02
        assert luck.deflated is not None
        assert luck.deflated > 0.95
        assert verdict_on(returns[best], luck) is Verdict.REASONABLE


@pytest.mark.parametrize("skewed", [False, True])
def test_the_probabilistic_sharpe_ratio_is_a_probability(skewed: bool) -> None:
    """Of series whose true Sharpe ratio is the benchmark, one in twenty is above 0.95.

    What is independent here is the experiment: no formula of the code is used to draw or to count.
    """
    rng, benchmark, count = np.random.default_rng(11), 0.1, 4_000
    draws = rng.normal(0.0, 1.0, (count, 500))
    if skewed:
        # Mean 0, deviation 1, skewness -2: rare large losses.
        draws = 1.0 - rng.exponential(1.0, (count, 500))
    series = draws + benchmark
    mean, deviation = series.mean(axis=1), series.std(axis=1)
    spread = (series - mean[:, None]) / deviation[:, None]
    found = np.array(
        [
            probabilistic_sharpe(TrackRecord(float(one), float(three), float(four), 500), benchmark)
            for one, three, four in zip(
                series.mean(axis=1) / series.std(axis=1, ddof=1),
                (spread**3).mean(axis=1),
                (spread**4).mean(axis=1),
                strict=True,
            )
        ],
        np.float64,
    )
    for level in (0.05, 0.5, 0.95):
        assert (found <= level).mean() == pytest.approx(level, abs=0.03 if skewed else 0.015)


def test_the_track_record_needed_is_where_the_probability_is_reached() -> None:
    """Counted up day by day with the distribution function alone."""
    for sharpe, skewness, kurtosis in ((0.15, -1.0, 6.0), (0.3, 0.5, 4.0), (0.08, 0.0, 3.0)):
        spread = math.sqrt(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2)
        days = 2
        while NormalDist().cdf(sharpe / spread * math.sqrt(days - 1)) < 0.95:
            days += 1
        needed = min_track_record(TrackRecord(sharpe, skewness, kurtosis, 0))
        assert needed is not None
        assert math.ceil(needed) == days
