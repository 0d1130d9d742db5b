"""How far the statistics of a series of daily returns would scatter, were it drawn again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.optimizer.core.analysis.luck.resampling import FEWEST_DAYS, Bootstrap, seed_of
from services.optimizer.core.analysis.luck.returns import Numbers
from services.optimizer.core.analysis.luck.sharpe import DAYS_PER_YEAR

CONFIDENCE: Final = 0.9
"""Share of the resamples inside an interval."""

NAMES: Final = (
    "sharpe_ratio",
    "annualized_mean_return_ratio",
    "total_return_ratio",
    "max_drawdown_ratio",
)


@dataclass(frozen=True, slots=True)
class Interval:
    """One statistic, and between what it lies in so many of the resamples."""

    name: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """The statistics of a series.

    Attributes:
        day_count: Its daily returns.
        intervals: Those that are defined, in the order of `NAMES`.
        undefined_reason: Why there are none; else empty.
    """

    day_count: int
    intervals: Sequence[Interval]
    undefined_reason: str


def intervals(returns: Numbers | None, day_count: int, bootstrap: Bootstrap) -> Intervals:
    """Return percentile intervals of the statistics of daily returns; None: there are none."""
    if day_count < FEWEST_DAYS:
        return Intervals(day_count, (), "TOO_FEW_DAYS")
    if returns is None:
        return Intervals(day_count, (), "RUINED")
    values = statistics(returns)
    drawn = bootstrap.resampled(returns, statistics, seed_of("intervals"))
    tail = 100.0 * (1.0 - CONFIDENCE) / 2.0
    lower, upper = np.percentile(drawn, [tail, 100.0 - tail], axis=0)
    told = [
        Interval(name, float(value), float(low), float(high))
        for name, value, low, high in zip(NAMES, values, lower, upper, strict=True)
    ]
    varies = bool((returns != returns[0]).any())
    return Intervals(day_count, told if varies else told[1:], "")


def statistics(returns: Numbers) -> Numbers:
    """Return the statistics called `NAMES`; a Sharpe ratio of 0 where returns do not vary."""
    equity = np.cumprod(1.0 + returns)
    peak = np.maximum(np.maximum.accumulate(equity), 1.0)
    mean = returns.mean()
    sharpe = 0.0
    if (returns != returns[0]).any():
        sharpe = mean / returns.std(ddof=1) * math.sqrt(DAYS_PER_YEAR)
    return np.array([sharpe, mean * DAYS_PER_YEAR, equity[-1] - 1.0, (1.0 - equity / peak).max()])
