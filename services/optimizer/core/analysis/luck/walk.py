"""How likely what a walk forward earned out of sample is luck.

What a winner earns out of sample is not what it was chosen for. So the Sharpe ratio deflated by all
trials of the ledger is pessimistic, and the walks that this one may have been chosen from lead the
verdict. Their Sharpe ratios are not kept; without an edge each is an estimate of 0 with variance
1 / (days - 1). They count as independent, which is pessimistic too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.optimizer.core.analysis.luck.intervals import Intervals
from services.optimizer.core.analysis.luck.overfitting import Overfitting
from services.optimizer.core.analysis.luck.returns import Numbers
from services.optimizer.core.analysis.luck.sharpe import (
    TrackRecord,
    deflated_sharpe,
    effective_trials,
    expected_max_sharpe,
    min_track_record,
    probabilistic_sharpe,
)
from services.optimizer.core.analysis.luck.superior_ability import SuperiorAbility


@dataclass(frozen=True, slots=True)
class WindowTrials:
    """What the trials of one window say over its in-sample days.

    Attributes:
        window_number: The window.
        trial_count: Trials looked at.
        complete_count: Complete trials these were taken from.
        block_count: Blocks of days.
        block_day_count: Days of each.
        correlation: Mean pairwise correlation; None with fewer than two whose returns vary.
        overfitting: What cross-validation says; None with too few trials or days.
    """

    window_number: int
    trial_count: int
    complete_count: int
    block_count: int
    block_day_count: int
    correlation: float | None
    overfitting: Overfitting | None


@dataclass(frozen=True, slots=True)
class WalkEvidence:
    """What is known of a walk and of what it may have been chosen from.

    Attributes:
        record: Daily returns of its stitched curve; None where they do not vary or are undefined.
        day_count: How many there are.
        trade_count: Closed trades of the winners out of sample.
        trial_count: Trials ever run on the dataset with the strategy.
        trial_variance: Variance of their Sharpe ratios per day; None below two.
        walk_count: Walks it may have been chosen from, itself among them.
        windows: Each window with a winner.
        passed: Whether the walk meets its criteria.
        overlapping: Whether out-of-sample spans overlap.
        plateau: Whether it and the cells beside it pass; None without cells beside it.
        at_edge: Searched parameters at an end of their range in at least half of the windows.
        superior_ability: Whether the stitched curve beats cash; None where it has no returns.
        intervals: How far its statistics would scatter; None where it has no returns.
    """

    record: TrackRecord | None
    day_count: int
    trade_count: int
    trial_count: int
    trial_variance: float | None
    walk_count: int
    windows: Sequence[WindowTrials]
    passed: bool
    overlapping: bool = False
    plateau: bool | None = None
    at_edge: Sequence[str] = ()
    superior_ability: SuperiorAbility | None = None
    intervals: Intervals | None = None


@dataclass(frozen=True, slots=True)
class WalkLuck:
    """The statistics of luck of a walk; None for what is undefined. Sharpe ratios are per day.

    Attributes:
        evidence: What they are made of.
        probabilistic: Probability that the true Sharpe ratio is above 0.
        min_days: Days needed for a probability of 0.95.
        correlation: Mean over the windows of the mean pairwise correlation of their trials.
        effective_count: Independent trials that all of the ledger amount to.
        expected_max: Expected best of as many trials as the ledger's without an edge.
        deflated: Probability that the true Sharpe ratio is above it.
        effective_expected_max: As `expected_max`, of the effective number.
        effective_deflated: As `deflated`, of the effective number.
        walk_expected_max: Expected best of as many walks without an edge.
        walk_deflated: Probability that the true Sharpe ratio is above it.
        overfitting_probability: Mean of the windows' probabilities.
        loss_probability: Mean of the windows' probabilities.
    """

    evidence: WalkEvidence
    probabilistic: float | None
    min_days: float | None
    correlation: float | None
    effective_count: float | None
    expected_max: float | None
    deflated: float | None
    effective_expected_max: float | None
    effective_deflated: float | None
    walk_expected_max: float | None
    walk_deflated: float | None
    overfitting_probability: float | None
    loss_probability: float | None


def walk_luck_of(evidence: WalkEvidence) -> WalkLuck:
    """Work the statistics out."""
    record, variance = evidence.record, evidence.trial_variance
    correlation = _mean([one.correlation for one in evidence.windows])
    effective = None
    if correlation is not None:
        effective = effective_trials(evidence.trial_count, correlation)
    expected = expected_max_sharpe(variance, evidence.trial_count)
    of_effective = None if effective is None else expected_max_sharpe(variance, effective)
    of_walks = None
    if evidence.day_count > 1:
        of_walks = expected_max_sharpe(1.0 / (evidence.day_count - 1), evidence.walk_count)
    judged = [one.overfitting for one in evidence.windows if one.overfitting is not None]
    return WalkLuck(
        evidence=evidence,
        probabilistic=None if record is None else probabilistic_sharpe(record),
        min_days=None if record is None else min_track_record(record),
        correlation=correlation,
        effective_count=effective,
        expected_max=expected,
        deflated=None if record is None else deflated_sharpe(record, expected),
        effective_expected_max=of_effective,
        effective_deflated=None if record is None else deflated_sharpe(record, of_effective),
        walk_expected_max=of_walks,
        walk_deflated=None if record is None else deflated_sharpe(record, of_walks),
        overfitting_probability=_mean([one.probability for one in judged]),
        loss_probability=_mean([one.loss_probability for one in judged]),
    )


def track_record(returns: Numbers) -> TrackRecord | None:
    """Return a series of returns by its moments; None for fewer than two, or without deviation."""
    if len(returns) < 2 or not (returns != returns[0]).any():
        return None
    mean = float(returns.mean())
    distance = returns - mean
    second = float((distance**2).mean())
    return TrackRecord(
        sharpe=mean / float(returns.std(ddof=1)),
        skewness=float((distance**3).mean()) / second**1.5,
        kurtosis=float(np.square(np.square(distance)).mean()) / second**2,
        length=len(returns),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are defined; None without any."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
