"""Extremes, falls and sums over any stretch of closes, in constant time.

A *disjoint sparse table*: on level k the bars are cut into blocks of 2^(k+1), and every bar tells
of the stretch between itself and the middle of its block. A stretch from bar i to bar j > i is two
such parts, on the level of the highest bit in which i and j differ. Parts never overlap, so what
depends on order (the worst fall) and what adds up (the returns) can be told as well as extremes,
and sums lose nothing to cancellation as differences of running totals would.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.kernel import Numbers, frozen, kernel
from services.backtest.core.market import Bars
from services.backtest.core.planes.bits import aligned

MOST_BARS: Final = 65_536
"""Bars of the longest window: there the table takes 42 MB."""

# Columns of Ranges.table.
HIGHEST: Final = 0
LOWEST: Final = 1
WORST: Final = 2
RETURNS: Final = 3
SQUARES: Final = 4
COLUMNS: Final = 5

# Columns of Ranges.prices.
OPENS: Final = 0
CLOSES: Final = 1
PRICES: Final = 2


class Ranges(NamedTuple):
    """What the sparse path looks up, read-only.

    Attributes:
        prices: Open and close of each bar side by side, as trades need them, shape (bars, 2).
        table: Shape (levels, bars, COLUMNS). On level k, for the closes from bar i to just before
            the middle of its block, or from the middle to bar i: the highest, the lowest, the least
            ratio of a close to one before it (at most 1), and the sums of returns from close to
            close and of their squares. The return into the middle bar belongs to the part from it.
    """

    prices: Numbers
    table: Numbers


def ranges_of(bars: Bars) -> Ranges:
    """Return the ranges of a window of at most MOST_BARS bars."""
    count = len(bars.close)
    prices = aligned((count, PRICES), np.float64)
    prices[:, OPENS], prices[:, CLOSES] = bars.open, bars.close
    levels = max(1, (count - 1).bit_length())
    table = aligned((levels, count, COLUMNS), np.float64)
    _fill(frozen(bars.close), table)
    return Ranges(frozen(prices), frozen(table))


@kernel
def _fill(closes: Numbers, table: Numbers) -> None:
    count = len(closes)
    returns = np.zeros(count)
    for bar in range(1, count):
        returns[bar] = closes[bar] / closes[bar - 1] - 1.0
    for level in range(len(table)):
        half = 1 << level
        # Bars without a partner across a middle are never asked for.
        for middle in range(half, count, 2 * half):
            highest, lowest, worst, total, squares = -np.inf, np.inf, 1.0, 0.0, 0.0
            for bar in range(middle - 1, middle - half - 1, -1):
                close = closes[bar]
                worst = min(worst, lowest / close)
                highest, lowest = max(highest, close), min(lowest, close)
                record = table[level, bar]
                record[HIGHEST], record[LOWEST], record[WORST] = highest, lowest, worst
                record[RETURNS], record[SQUARES] = total, squares
                total += returns[bar]
                squares += returns[bar] * returns[bar]
            highest, lowest, worst, total, squares = -np.inf, np.inf, 1.0, 0.0, 0.0
            for bar in range(middle, min(middle + half, count)):
                close = closes[bar]
                highest, lowest = max(highest, close), min(lowest, close)
                worst = min(worst, close / highest)
                total += returns[bar]
                squares += returns[bar] * returns[bar]
                record = table[level, bar]
                record[HIGHEST], record[LOWEST], record[WORST] = highest, lowest, worst
                record[RETURNS], record[SQUARES] = total, squares
