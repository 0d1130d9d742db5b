"""Luck of walks: noise is told to be luck, an edge is not, and each threshold has its warning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from services.optimizer.core.analysis.luck.overfitting import Overfitting, overfitting
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments
from services.optimizer.core.analysis.luck.sharpe import TrackRecord
from services.optimizer.core.analysis.luck.verdict import Verdict
from services.optimizer.core.analysis.luck.walk import (
    WalkEvidence,
    WalkLuck,
    WindowTrials,
    track_record,
    walk_luck_of,
)
from services.optimizer.core.analysis.luck.walk_verdict import walk_verdict, walk_warnings
from services.optimizer.core.analysis.luck.warning_kinds import WarningKind

Summed = Callable[..., ReturnMoments]


def window_of(number: int, returns: Numbers, summed: Summed) -> WindowTrials:
    """Return what trials of these in-sample returns say."""
    moments = summed(returns)
    blocks = moments.sums.shape[1]
    return WindowTrials(
        number,
        len(returns),
        len(returns),
        blocks,
        moments.block_day_count,
        moments.correlation,
        overfitting(moments),
    )


def walked(seed: int, edge: float, summed: Summed, windows: int = 4) -> WalkLuck:
    """Walk a market of 20 trials forward, one of which has an edge: 120 days in, 90 out of sample.

    The one with the best Sharpe ratio in sample is chosen, as a study does.
    """
    drawn = np.random.default_rng(seed)
    outside, told, sharpes = [], [], []
    for number in range(windows):
        returns = drawn.normal(0.0, 0.01, (20, 120 + 90))
        returns[7] += edge
        inside = returns[:, :120]
        ratios = inside.mean(axis=1) / inside.std(axis=1, ddof=1)
        sharpes += list(ratios)
        outside.append(returns[ratios.argmax(), 120:])
        told.append(window_of(number, inside, summed))
    stitched = np.concatenate(outside)
    return walk_luck_of(
        WalkEvidence(
            record=track_record(stitched),
            day_count=len(stitched),
            trade_count=100,
            trial_count=20 * windows,
            trial_variance=float(np.var(sharpes, ddof=1)),
            walk_count=1,
            windows=told,
            passed=True,
        )
    )


def test_a_track_record_has_the_moments_of_its_returns() -> None:
    """Equal to those of SciPy."""
    returns = np.random.default_rng(3).standard_t(5, 400) * 0.01 + 0.001

    found = track_record(returns)

    assert found is not None
    assert found.sharpe == pytest.approx(returns.mean() / stats.tstd(returns), rel=1e-12)
    assert found.skewness == pytest.approx(stats.skew(returns), rel=1e-10)
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-10)
    assert found.length == 400


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.1, 0.1]])
def test_returns_that_do_not_vary_have_no_track_record(returns: list[float]) -> None:
    """Nor have fewer than two."""
    assert track_record(np.array(returns)) is None


def test_noise_is_not_promising_and_overfit_in_sample(summed: Summed) -> None:
    """Over 30 markets: half of the walks lose, a twentieth is believed, PBO is near a half."""
    found = [walked(seed, 0.0, summed) for seed in range(30)]

    believed = [luck.probabilistic or 0.0 for luck in found]
    assert 0.3 < np.mean(believed) < 0.7
    assert sum(walk_verdict(luck) is Verdict.PROMISING for luck in found) <= 1
    assert sum(walk_verdict(luck) is Verdict.LIKELY_LUCK for luck in found) >= 20
    probabilities = [luck.overfitting_probability or 0.0 for luck in found]
    assert 0.35 < np.mean(probabilities) < 0.65


def test_a_planted_edge_passes(summed: Summed) -> None:
    """Chosen in every window, and worth the same behind it."""
    for seed in range(8):
        luck = walked(seed, 0.006, summed)
        assert walk_warnings(luck) == []
        assert walk_verdict(luck) is Verdict.PROMISING
        assert luck.overfitting_probability is not None
        assert luck.overfitting_probability < 0.05


def test_one_walk_is_not_deflated_and_more_are(summed: Summed) -> None:
    """With one walk PSR leads; the best of ten blind ones is expected at 1.57 deviations."""
    alone = walked(1, 0.002, summed)
    assert alone.walk_expected_max == 0.0
    assert alone.walk_deflated == alone.probabilistic

    ten = walk_luck_of(replace(alone.evidence, walk_count=10))
    assert ten.walk_expected_max is not None
    drawn = np.random.default_rng(11).normal(size=(20_000, 10)).max(axis=1).mean()
    assert ten.walk_expected_max == pytest.approx(drawn / (360 - 1) ** 0.5, rel=0.03)
    assert ten.walk_deflated is not None
    assert alone.probabilistic is not None
    assert ten.walk_deflated < alone.probabilistic


def test_windows_are_pooled_by_their_means(summed: Summed) -> None:
    """Those that tell nothing are left out."""
    luck = walked(2, 0.0, summed)
    first, second, *_ = luck.evidence.windows
    silent = replace(first, window_number=9, correlation=None, overfitting=None)

    pooled = walk_luck_of(replace(luck.evidence, windows=[first, silent, second]))

    assert first.overfitting is not None
    assert second.overfitting is not None
    both = first.overfitting, second.overfitting
    assert pooled.overfitting_probability == sum(one.probability for one in both) / 2
    assert pooled.loss_probability == sum(one.loss_probability for one in both) / 2
    assert first.correlation is not None
    assert second.correlation is not None
    assert pooled.correlation == (first.correlation + second.correlation) / 2
    nothing = walk_luck_of(replace(luck.evidence, windows=[silent]))
    assert nothing.overfitting_probability is nothing.effective_count is None


@pytest.fixture
def promising(summed: Summed) -> WalkEvidence:
    """Return evidence nothing speaks against."""
    return walked(1, 0.006, summed).evidence


def overfit(evidence: WalkEvidence, probability: float) -> list[WindowTrials]:
    """Return windows that say so."""
    found = Overfitting(12_870, probability, 0.1, None)
    return [replace(one, overfitting=found) for one in evidence.windows]


@pytest.mark.parametrize(
    ("changes", "kinds", "verdict"),
    [
        ({"trade_count": 29}, ["FEW_TRADES"], Verdict.INCONCLUSIVE),
        ({"passed": False}, ["WALK_NOT_PASSED"], Verdict.INCONCLUSIVE),
        ({"plateau": False}, ["NO_PLATEAU"], Verdict.INCONCLUSIVE),
        ({"plateau": True}, [], Verdict.PROMISING),
        ({"overlapping": True}, ["OVERLAPPING_OOS"], Verdict.PROMISING),
        ({"at_edge": ("fast_period",)}, ["AT_EDGE"], Verdict.PROMISING),
        ({"windows": 0.19}, [], Verdict.PROMISING),
        ({"windows": 0.2}, ["OVERFITTING_POSSIBLE"], Verdict.INCONCLUSIVE),
        ({"windows": 0.5}, ["OVERFITTING_LIKELY"], Verdict.INCONCLUSIVE),
        ({"windows": ()}, ["OVERFITTING_POSSIBLE"], Verdict.INCONCLUSIVE),
        # The trials of the ledger alone speak against nothing.
        ({"trial_variance": 1.0}, [], Verdict.PROMISING),
        ({"trial_variance": None}, [], Verdict.PROMISING),
        (
            {"record": None},
            ["SHARPE_NOT_POSITIVE", "WALK_DEFLATED_SHARPE_LOW"],
            Verdict.LIKELY_LUCK,
        ),
        (
            {"record": TrackRecord(-0.01, 0.0, 3.0, 360)},
            ["SHARPE_NOT_POSITIVE", "BELOW_EXPECTED_MAXIMUM", "WALK_DEFLATED_SHARPE_LOW"],
            Verdict.LIKELY_LUCK,
        ),
        (
            {"record": TrackRecord(0.1, 0.0, 3.0, 360), "walk_count": 40},
            ["BELOW_EXPECTED_MAXIMUM", "WALK_DEFLATED_SHARPE_LOW"],
            Verdict.LIKELY_LUCK,
        ),
        (
            {"record": TrackRecord(0.2, 0.0, 3.0, 30), "day_count": 30},
            ["WALK_DEFLATED_SHARPE_LOW", "TRACK_RECORD_SHORT"],
            Verdict.INCONCLUSIVE,
        ),
        (
            {"record": TrackRecord(0.2, 0.0, 3.0, 60), "windows": 0.6},
            ["WALK_DEFLATED_SHARPE_LOW", "OVERFITTING_LIKELY"],
            Verdict.LIKELY_LUCK,
        ),
    ],
)
def test_each_threshold_has_its_warning(
    promising: WalkEvidence, changes: dict[str, Any], kinds: list[str], verdict: Verdict
) -> None:
    """The verdict follows from them; a probability stands for windows that tell it."""
    if isinstance(changes.get("windows"), float):
        changes = {**changes, "windows": overfit(promising, changes["windows"])}

    luck = walk_luck_of(replace(promising, **changes))

    warnings = walk_warnings(luck)
    assert [one.kind for one in warnings] == [WarningKind[kind] for kind in kinds]
    assert walk_verdict(luck) is verdict
    assert all(one.message.endswith(".") for one in warnings)
