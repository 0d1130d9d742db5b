"""What workers tell of the daily returns of trials, and what follows from sums alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_NO_VARIANCE: Final = 1e-12
"""Share of the sum of squares below which what the mean leaves of it is rounding."""


def sharpes(sums: Numbers, squares: Numbers, days: int | npt.NDArray[np.int64]) -> Numbers:
    """Return mean over deviation (divisor n - 1) of so many returns; 0 where they do not vary."""
    spread = squares - sums * sums / days
    varies = spread > _NO_VARIANCE * squares
    deviation = np.sqrt(np.where(varies, spread, 1.0) / (days - 1))
    found: Numbers = np.where(varies, sums / days / deviation, 0.0)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ReturnMoments:
    """Sums over the daily returns of trials, n of which have returns.

    Attributes:
        day_count: Daily returns of each.
        dropped_day_count: Oldest ones that are in no block.
        block_day_count: Those of a block; 0 where there are none, or blocks of different lengths.
        sums: Sum of the returns of each block, shape (n, blocks), in the order of the trials.
        squares: Sum of their squares, the same way.
        standardized: Sums over trials of standardised returns, shape (days,).
        standardized_count: Trials in them.
    """

    day_count: int
    dropped_day_count: int
    block_day_count: int
    sums: Numbers
    squares: Numbers
    standardized: Numbers
    standardized_count: int

    @property
    def correlation(self) -> float | None:
        """Mean pairwise correlation; None with fewer than two trials whose returns vary.

        With z the standardised returns, the sum over days of (sum over trials of z)^2 is the number
        of days times the sum of all correlations, those of each trial with itself included.
        """
        count = self.standardized_count
        if count < 2:
            return None
        together = float((self.standardized**2).sum()) / self.day_count
        return (together - count) / (count * (count - 1))


def joined(parts: Sequence[ReturnMoments]) -> ReturnMoments:
    """Return the moments of all trials of parts, at least one, over the same window; in order."""
    first = parts[0]
    # Added one after the other: the bits are those of the order, not of how numpy sums.
    standardized = np.zeros_like(first.standardized)
    for part in parts:
        standardized += part.standardized
    return ReturnMoments(
        day_count=first.day_count,
        dropped_day_count=first.dropped_day_count,
        block_day_count=first.block_day_count,
        sums=np.concatenate([part.sums for part in parts]),
        squares=np.concatenate([part.squares for part in parts]),
        standardized=standardized,
        standardized_count=sum(part.standardized_count for part in parts),
    )
