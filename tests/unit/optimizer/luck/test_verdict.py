"""Verdicts: noise is told to be luck, an edge is not, and each threshold has its warning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.cross_validation import (
    CrossValidation,
    CrossValidationPlan,
)
from services.optimizer.core.analysis.luck.neighborhood import summary
from services.optimizer.core.analysis.luck.overfitting import Overfitting, overfitting
from services.optimizer.core.analysis.luck.resampling import PValues
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments
from services.optimizer.core.analysis.luck.sharpe import TrackRecord
from services.optimizer.core.analysis.luck.superior_ability import (
    BenchmarkTest,
    SuperiorAbility,
)
from services.optimizer.core.analysis.luck.verdict import (
    Evidence,
    Luck,
    Verdict,
    luck_of,
)
from services.optimizer.core.analysis.luck.warning_kinds import WarningKind

Summed = Callable[..., ReturnMoments]


def record_of(returns: Numbers) -> TrackRecord:
    """Return a series by its moments."""
    spread = returns - returns.mean()
    second = (spread**2).mean()
    return TrackRecord(
        sharpe=float(returns.mean() / returns.std(ddof=1)),
        skewness=float((spread**3).mean() / second**1.5),
        kurtosis=float((spread**4).mean() / second**2),
        length=len(returns),
    )


def judged(returns: Numbers, moments: ReturnMoments) -> Luck:
    """Return the luck of the best of trials, all that were ever tried."""
    sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    return luck_of(
        Evidence(
            record=record_of(returns[sharpes.argmax()]),
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
    )


def test_noise_is_rejected(summed: Summed) -> None:
    """The best of fifty blind trials is never promising; alone it would have been believed."""
    believed, deflated = [], []
    for seed in range(40):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, (50, 365))
        luck = judged(returns, summed(returns))
        assert luck.verdict is not Verdict.PROMISING
        assert luck.probabilistic is not None
        assert luck.deflated is not None
        believed.append(luck.probabilistic)
        deflated.append(luck.deflated)
        assert luck.effective_count == pytest.approx(50, rel=0.05)
    assert np.mean(np.array(believed) > 0.95) > 0.8
    assert np.mean(np.array(deflated) > 0.95) <= 0.05
    assert 0.35 < np.mean(deflated) < 0.65


def test_a_planted_edge_passes(summed: Summed) -> None:
    """One of fifty trials earns for real over two years: promising in every market."""
    for seed in range(10):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, (50, 730))
        returns[31] += 0.004
        luck = judged(returns, summed(returns))
        assert luck.deflated is not None
        assert luck.deflated > 0.95
        assert not luck.warnings
        assert luck.verdict is Verdict.PROMISING


def test_a_family_of_equal_edges_is_not_called_luck(summed: Summed) -> None:
    """Choosing among equally good trials is a coin toss, their common edge is not."""
    returns = np.random.default_rng(5).normal(0.0, 0.01, (50, 730)) + 0.004
    luck = judged(returns, summed(returns))
    assert luck.evidence.overfitting is not None
    assert luck.evidence.overfitting.probability > 0.2
    assert luck.verdict is Verdict.INCONCLUSIVE


@pytest.fixture
def promising(summed: Summed) -> Evidence:
    """Return evidence nothing speaks against."""
    returns = np.random.default_rng(1).normal(0.0, 0.01, (50, 730))
    returns[31] += 0.004
    return judged(returns, summed(returns)).evidence


def beaten(cash: float | None, holding: float | None = 0.01) -> SuperiorAbility:
    """Return what a test against benchmarks may say."""
    tests = [
        BenchmarkTest(None, 0, "NOTHING_DIFFERS")
        if value is None
        else BenchmarkTest(PValues(0.0, value, 1.0), 50, "")
        for value in (cash, holding)
    ]
    return SuperiorAbility(50, 730, tests[0], tests[1])


def crossed(*paths: float, reason: str = "") -> CrossValidation:
    """Return what cross-validation may say."""
    plan = CrossValidationPlan(10, 2, 1, 5)
    return CrossValidation(plan, 50, 500, reason, 3, 2.0, np.array(paths))


def overfit(probability: float) -> Overfitting:
    """Return what cross-validation may say."""
    return Overfitting(12_870, probability, 0.1, None)


@pytest.mark.parametrize(
    ("changes", "kinds", "verdict"),
    [
        ({"trade_count": 29}, ["FEW_TRADES"], Verdict.INCONCLUSIVE),
        ({"trade_count": 30}, [], Verdict.PROMISING),
        ({"overfitting": overfit(0.19)}, [], Verdict.PROMISING),
        ({"overfitting": overfit(0.2)}, ["OVERFITTING_POSSIBLE"], Verdict.INCONCLUSIVE),
        ({"overfitting": overfit(0.5)}, ["OVERFITTING_LIKELY"], Verdict.INCONCLUSIVE),
        ({"overfitting": None}, ["OVERFITTING_POSSIBLE"], Verdict.INCONCLUSIVE),
        ({"at_edge": ("fast_period",)}, ["AT_EDGE"], Verdict.PROMISING),
        ({"neighborhood": None}, [], Verdict.PROMISING),
        ({"superior_ability": beaten(0.049)}, [], Verdict.PROMISING),
        ({"superior_ability": beaten(0.05)}, ["CASH_NOT_BEATEN"], Verdict.INCONCLUSIVE),
        ({"superior_ability": beaten(None)}, ["CASH_NOT_BEATEN"], Verdict.INCONCLUSIVE),
        (
            {"superior_ability": beaten(0.01, 0.05), "at_edge": ("x",)},
            ["BUY_AND_HOLD_NOT_BEATEN", "AT_EDGE"],
            Verdict.PROMISING,
        ),
        ({"cross_validation": crossed(1.0, 0.5, 0.1, 0.3, 0.2, -0.1)}, [], Verdict.PROMISING),
        (
            {"cross_validation": crossed(1.0, 0.5, 0.1, 0.3, -0.1), "trade_count": 3},
            ["CROSS_VALIDATION_WEAK", "FEW_TRADES"],
            Verdict.INCONCLUSIVE,
        ),
        ({"cross_validation": crossed(0.0)}, ["CROSS_VALIDATION_WEAK"], Verdict.INCONCLUSIVE),
        ({"cross_validation": crossed(reason="TOO_FEW_DAYS")}, [], Verdict.PROMISING),
        (
            {"neighborhood": summary([0.4], 1.0, maximize=True)},
            ["NEIGHBORHOOD_WEAK"],
            Verdict.INCONCLUSIVE,
        ),
        (
            {"trial_variance": 0.05},
            ["BELOW_EXPECTED_MAXIMUM", "DEFLATED_SHARPE_LOW"],
            Verdict.LIKELY_LUCK,
        ),
        (
            {"record": None},
            ["SHARPE_NOT_POSITIVE", "DEFLATED_SHARPE_LOW"],
            Verdict.LIKELY_LUCK,
        ),
        (
            {"record": TrackRecord(0.2, 0.0, 3.0, 25), "day_count": 25},
            ["DEFLATED_SHARPE_LOW", "TRACK_RECORD_SHORT"],
            Verdict.INCONCLUSIVE,
        ),
        (
            {"record": TrackRecord(0.2, 0.0, 3.0, 80), "overfitting": overfit(0.6)},
            ["DEFLATED_SHARPE_LOW", "OVERFITTING_LIKELY"],
            Verdict.LIKELY_LUCK,
        ),
    ],
)
def test_each_threshold_has_its_warning(
    promising: Evidence, changes: dict[str, Any], kinds: list[str], verdict: Verdict
) -> None:
    """Gravest first; the verdict follows from them."""
    luck = luck_of(replace(promising, **changes))
    assert [one.kind for one in luck.warnings] == [WarningKind[kind] for kind in kinds]
    assert luck.verdict is verdict
    assert all(one.message.endswith(".") for one in luck.warnings)


def test_without_a_ledger_of_sharpes_nothing_is_deflated(promising: Evidence) -> None:
    """Many trials of unknown variance: undefined, and said so."""
    luck = luck_of(replace(promising, trial_variance=None))
    assert luck.expected_max is luck.deflated is luck.effective_deflated is None
    assert luck.verdict is Verdict.INCONCLUSIVE
