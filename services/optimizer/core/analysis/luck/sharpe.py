"""How far a Sharpe ratio can be trusted, given its track record and how many were tried.

Sources: Bailey and Lopez de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15(2),
2012 (PSR, MinTRL); the same, "The deflated Sharpe ratio", Journal of Portfolio Management 40(5),
2014 (DSR, expected maximum, independent trials). Sharpe ratios are per observation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

DAYS_PER_YEAR: Final = 365.0

CONFIDENCE: Final = 0.95
"""Probability asked of a track record."""

_EULER_MASCHERONI: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()


def daily_sharpe(sharpe_ratio: float) -> float:
    """Return the Sharpe ratio per day of an annualised one."""
    return sharpe_ratio / math.sqrt(DAYS_PER_YEAR)


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried before a best result was found.

    Attributes:
        count: Trials.
        sharpe_variance: Variance of their Sharpe ratios per day; None below two.
    """

    count: int
    sharpe_variance: float | None


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What is known of a series of returns.

    Attributes:
        sharpe: Mean over deviation (divisor n - 1), per observation.
        skewness: Third standardised moment of the population.
        kurtosis: Fourth one, 3 for normal returns.
        length: Number of returns.
    """

    sharpe: float
    skewness: float
    kurtosis: float
    length: int

    @property
    def variance(self) -> float:
        """Variance of the estimated Sharpe ratio, times length - 1 (2012, equation 8)."""
        return 1.0 - self.skewness * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2


def probabilistic_sharpe(record: TrackRecord, benchmark: float = 0.0) -> float | None:
    """Return the probability that the true Sharpe ratio is above a benchmark (2012, equation 11).

    None with fewer than two returns, and where the estimate's variance is not above 0: its
    approximation does not hold then.
    """
    if record.length < 2 or not record.variance > 0.0:
        return None
    distance = (record.sharpe - benchmark) * math.sqrt(record.length - 1)
    return _NORMAL.cdf(distance / math.sqrt(record.variance))


def min_track_record(
    record: TrackRecord, benchmark: float = 0.0, confidence: float = CONFIDENCE
) -> float | None:
    """Return the returns needed to be confident that the benchmark is beaten (2012, equation 13).

    None where the Sharpe ratio is not above it, and where its variance is not above 0.
    """
    if record.sharpe <= benchmark or not record.variance > 0.0:
        return None
    distance = _NORMAL.inv_cdf(confidence) / (record.sharpe - benchmark)
    return 1.0 + record.variance * distance**2


def expected_max_sharpe(variance: float | None, trial_count: float) -> float | None:
    """Return what the best of independent trials without an edge is expected to reach (2014).

    sqrt(V) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))), with g the Euler-Mascheroni constant; 0 for one
    trial, and never below it: for N near 1 the approximation does not hold. None where V is unknown
    and there is more than one trial.
    """
    if trial_count <= 1.0:
        return 0.0
    if variance is None:
        return None
    quantile = _NORMAL.inv_cdf
    best = (1.0 - _EULER_MASCHERONI) * quantile(1.0 - 1.0 / trial_count)
    best += _EULER_MASCHERONI * quantile(1.0 - 1.0 / (trial_count * math.e))
    return math.sqrt(variance) * max(0.0, best)


def deflated_sharpe(record: TrackRecord, expected_max: float | None) -> float | None:
    """Return the probability that the true Sharpe ratio is above the expected maximum (2014)."""
    return None if expected_max is None else probabilistic_sharpe(record, expected_max)


def effective_trials(trial_count: int, correlation: float) -> float:
    """Return how many independent trials correlated ones amount to: rho + (1 - rho) N (2014)."""
    return correlation + (1.0 - correlation) * trial_count
