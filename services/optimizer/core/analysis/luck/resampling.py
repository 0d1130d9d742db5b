"""Daily returns drawn again in blocks: what is asked of a bootstrap, and by which rules.

Source of the way of drawing: Politis and Romano, "The stationary bootstrap", Journal of the
American Statistical Association 89, 1994.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from services.optimizer.core.analysis.luck.returns import Numbers
from services.optimizer.core.searches.seeds import draw

REPETITIONS: Final = 1_000
"""Resamples."""

FEWEST_DAYS: Final = 30
"""Fewer days hold too few blocks to draw from."""


def block_days(day_count: int) -> int:
    """Return the mean length of the blocks drawn: the square root of the days, rounded down."""
    return math.isqrt(day_count)


def seed_of(*names: str) -> int:
    """Return the seed of what has these names.

    No study's seed is in it: equal trials tell the same, whichever study they are of.
    """
    return draw(0, "luck", *names)


@dataclass(frozen=True, slots=True)
class PValues:
    """Of the test for superior predictive ability, each from 0 to 1.

    Attributes:
        lower: Models worse than the benchmark count as being just as bad.
        consistent: Models clearly worse than the benchmark are disregarded.
        upper: All models count as being as good as the benchmark.
    """

    lower: float
    consistent: float
    upper: float


class Bootstrap(Protocol):
    """Draws days again by the stationary bootstrap; equal arguments give equal results. Blocks."""

    def p_values(self, differences: Numbers, seed: int) -> PValues:
        """Test whether any of several models has a mean above 0.

        Args:
            differences: What each earns above a benchmark, in units of the deviation of its mean
                times the root of the number of days; shape (models, days).
            seed: For drawing, not below 0.
        """

    def resampled(
        self, returns: Numbers, statistics: Callable[[Numbers], Numbers], seed: int
    ) -> Numbers:
        """Return statistics of resampled returns, shape (`REPETITIONS`, statistics).

        Args:
            returns: Daily returns, shape (days,).
            statistics: What is made of each resample, shape (statistics,).
            seed: For drawing, not below 0.
        """
