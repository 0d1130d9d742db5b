"""CSCV: against a slow reference, and on noise and edges drawn from fixed seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.overfitting import Overfitting, overfitting
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments, joined

Summed = Callable[..., ReturnMoments]


def sharpe(returns: list[float]) -> float:
    """Return mean over sample deviation; 0 where nothing varies."""
    mean = math.fsum(returns) / len(returns)
    if len(set(returns)) == 1:
        return 0.0
    squares = math.fsum((one - mean) ** 2 for one in returns)
    return mean / math.sqrt(squares / (len(returns) - 1))


def reference(returns: Numbers, blocks: int) -> Overfitting:
    """Cross-validate choice by choice, trial by trial, day by day."""
    kept = returns[:, returns.shape[1] % blocks :]
    cut = [[list(map(float, part)) for part in np.split(own, blocks)] for own in kept]
    inside, outside, logits = [], [], []
    for chosen in combinations(range(blocks), blocks // 2):
        one, other = [], []
        for trial in cut:
            one.append(sharpe([x for block in chosen for x in trial[block]]))
            rest = [block for block in range(blocks) if block not in chosen]
            other.append(sharpe([x for block in rest for x in trial[block]]))
        best = one.index(max(one))
        below = sum(value < other[best] for value in other)
        equal = sum(value == other[best] for value in other)
        rank = (below + (equal + 1) / 2) / (len(cut) + 1)
        inside.append(one[best])
        outside.append(other[best])
        logits.append(math.log(rank / (1 - rank)))
    return Overfitting(
        combination_count=len(logits),
        probability=sum(logit <= 0 for logit in logits) / len(logits),
        loss_probability=sum(value < 0 for value in outside) / len(logits),
        degradation_slope=float(np.polyfit(inside, outside, 1)[0]),
    )


@pytest.mark.parametrize("blocks", [2, 4, 6, 8])
@pytest.mark.parametrize("trials", [2, 5, 12])
def test_it_is_what_the_slow_way_finds(blocks: int, trials: int, summed: Summed) -> None:
    """With equal trials, constant ones, days that fit into no block."""
    rng = np.random.default_rng(100 * blocks + trials)
    # Multiples of 1/1024 are summed without rounding: equal stays equal in both ways.
    returns = rng.integers(-20, 21, (trials, blocks * 5 + 1)) / 1024
    returns[-1] = returns[0]
    if trials > 2:
        returns[1] = 0.0
        returns[2, ::2] = returns[0, ::2]
    found = overfitting(summed(returns, blocks))
    expected = reference(returns, blocks)
    assert found is not None
    assert found.combination_count == expected.combination_count == math.comb(blocks, blocks // 2)
    assert found.probability == expected.probability
    assert found.loss_probability == expected.loss_probability
    assert expected.degradation_slope is not None
    assert found.degradation_slope == pytest.approx(expected.degradation_slope, rel=1e-9)


def test_sixteen_blocks_are_cut_12870_ways(summed: Summed) -> None:
    """As in the paper."""
    returns = np.random.default_rng(1).normal(0.0, 0.01, (3, 100))
    found = overfitting(summed(returns))
    assert found is not None
    assert found.combination_count == 12_870


def test_noise_is_a_coin_toss(summed: Summed) -> None:
    """Over thirty markets without an edge the mean probability is near one half."""
    found = []
    for seed in range(30):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, (40, 365))
        told = overfitting(summed(returns))
        assert told is not None
        found.append(told.probability)
    assert 0.42 < np.mean(found) < 0.6
    assert 0.4 < np.median(found) < 0.65


def test_an_edge_is_found_again(summed: Summed) -> None:
    """One of forty trials earns for real: the probability is near zero, in every market."""
    for seed in range(10):
        returns = np.random.default_rng(seed).normal(0.0, 0.01, (40, 730))
        returns[17] += 0.003
        told = overfitting(summed(returns))
        assert told is not None
        assert told.probability < 0.02
        assert told.loss_probability < 0.02


def test_the_order_of_equal_trials_does_not_matter(summed: Summed) -> None:
    """Copies of one trial tie exactly, wherever they stand: the middle, which counts as low."""
    one = np.random.default_rng(3).normal(0.001, 0.01, 365)
    told = overfitting(summed(np.tile(one, (7, 1))))
    assert told is not None
    assert told.probability == 1.0


def test_too_little_tells_nothing(summed: Summed) -> None:
    """One trial; one day a block; trials that never trade all look alike."""
    noise = np.random.default_rng(3).normal(0.0, 0.01, (3, 365))
    assert overfitting(summed(noise[:1])) is None
    assert overfitting(summed(noise[:, :31])) is None
    told = overfitting(summed(np.zeros((3, 64))))
    assert told is not None
    assert told.degradation_slope is None


def test_two_thousand_trials_take_bounded_memory(summed: Summed) -> None:
    """The same as in one go, though never more than a part of the ratios is held."""
    import tracemalloc  # noqa: PLC0415 - measured here alone

    returns = np.random.default_rng(5).normal(0.0, 0.01, (2_000, 64))
    moments = summed(returns)
    tracemalloc.start()
    told = overfitting(moments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told is not None
    assert peak < 120e6


def test_moments_of_parts_are_those_of_the_whole(summed: Summed) -> None:
    """Calls of any sizes: the same blocks, and the mean correlation of all pairs."""
    returns = np.random.default_rng(6).normal(0.0, 0.01, (9, 50))
    returns[:5] += np.random.default_rng(7).normal(0.0, 0.01, 50)
    returns[3] = 0.25
    parts = joined([summed(returns[:2]), summed(returns[2:3]), summed(returns[3:])])
    whole = summed(returns)
    np.testing.assert_array_equal(parts.sums, whole.sums)
    np.testing.assert_array_equal(parts.squares, whole.squares)
    varying = np.delete(returns, 3, axis=0)
    pairs = [np.corrcoef(one, other)[0, 1] for one, other in combinations(varying, 2)]
    assert parts.standardized_count == 8
    assert parts.correlation == pytest.approx(np.mean(pairs), rel=1e-10)
    assert summed(returns[:1]).correlation is None
