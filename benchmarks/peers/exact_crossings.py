"""Crossings of exact means, for both peers. Needs numpy only; knows nothing of Assay.

Prices are decimals. Where two means are equal a floating-point sum may say otherwise, and a single
flipped crossing hides whether engines agree. So returns are compared on crossings found with
integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Ticks = npt.NDArray[np.int64]


def ticks_of(prices: npt.NDArray[np.float64]) -> Ticks:
    """Return prices as whole multiples of their smallest decimal."""
    for decimals in range(11):
        ticks: npt.NDArray[np.float64] = np.round(prices * 10**decimals)
        if np.array_equal(ticks / 10**decimals, prices):
            return ticks.astype(np.int64)
    raise SystemExit("prices have more than 10 decimals")


def crossings(ticks: Ticks, fast: int, slow: int) -> tuple[Flags, Flags]:
    """Return where the mean of `fast` closes crosses above and below the mean of `slow`."""
    total = np.concatenate([[0], np.cumsum(ticks)])
    longest = max(fast, slow)
    ends = np.arange(longest, len(total))
    # Means compared without dividing: sum_fast / fast > sum_slow / slow.
    quick = (total[ends] - total[ends - fast]) * slow
    calm = (total[ends] - total[ends - slow]) * fast
    difference = quick - calm
    above = np.zeros(len(ticks), bool)
    below = np.zeros(len(ticks), bool)
    above[longest:] = (difference[:-1] <= 0) & (difference[1:] > 0)
    below[longest:] = (difference[:-1] >= 0) & (difference[1:] < 0)
    return above, below
