"""Sums over the daily returns of many sets: moments by blocks of days, and standardised returns.

The returns themselves are those behind the daily metrics, see `measures.days`, and are kept only
where that is wanted.
From sums and squares by block follow Sharpe ratios over any choice of blocks (combinatorially
symmetric cross-validation, Bailey, Borwein, Lopez de Prado and Zhu 2017). With z the standardised
returns of n sets over T days, the sum over days of (sum over sets of z)^2 is T times the sum of all
pairwise correlations, those of each set with itself included: so the mean correlation follows from
one number per day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, frozen, kernel
from services.backtest.core.metrics import UndefinedReason

_TOO_FEW: Final = int(UndefinedReason.TOO_FEW_OBSERVATIONS)
_RUINED: Final = int(UndefinedReason.RUINED)
_FAILED: Final = int(UndefinedReason.SET_FAILED)


@dataclass(frozen=True, slots=True)
class WantedReturns:
    """What is wanted of daily returns.

    Attributes:
        block_count: Blocks of equal length.
        block_day_counts: Days of each block instead, oldest block first; empty: equal ones.
        daily: Whether the returns themselves are wanted.
    """

    block_count: int
    block_day_counts: tuple[int, ...] = ()
    daily: bool = False

    def edges(self, day_count: int) -> Integers:
        """Return where each block begins, and where the last one ends: with the newest day."""
        lengths = self.block_day_counts or (day_count // self.block_count,) * self.block_count
        ends = np.cumsum((0, *lengths), dtype=np.int64)
        return np.asarray(ends + (day_count - ends[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class ReturnSums:
    """Sums over daily returns.

    Attributes:
        day_count: Days with a return.
        dropped_day_count: Oldest days that are in no block.
        block_day_count: Days of a block; 0 where they are given one by one.
        reasons: Why a set has no returns, numbers of UndefinedReason, shape (sets,); 0 with them.
        sums: Sums of the returns of each block, shape (sets, blocks); 0 without returns.
        squares: Sums of their squares, the same way.
        standardized: Sums over the sets of standardised returns, shape (days,).
        standardized_count: Sets in them: those whose returns vary.
        daily: The returns, shape (sets, days), 0 without returns; (sets, 0) where not wanted.
    """

    day_count: int
    dropped_day_count: int
    block_day_count: int
    reasons: Bytes
    sums: Numbers
    squares: Numbers
    standardized: Numbers
    standardized_count: int
    daily: Numbers


@kernel
def _add(
    levels: Numbers,
    finite: Bytes,
    edges: Integers,
    returns: Numbers,
    daily: Numbers,
    sums: Numbers,
    squares: Numbers,
    standardized: Numbers,
    reasons: Bytes,
) -> int:
    """Add sets by their levels; `returns` is room for one. Returns how many vary."""
    blocks, days = sums.shape[1], len(returns)
    varying = 0
    for index in range(len(levels)):
        own = levels[index]
        reasons[index] = (
            _FAILED if finite[index] == 0 else _RUINED if not own[days - 1] > 0.0 else 0
        )
        if reasons[index] != 0:
            continue
        total = 0.0
        constant = True
        for day in range(days):
            returns[day] = own[day + 1] / own[day] - 1.0
            total += returns[day]
            constant = constant and returns[day] == returns[0]
        daily[index] = returns[: daily.shape[1]]
        for block in range(blocks):
            one = square = 0.0
            for day in range(edges[block], edges[block + 1]):
                one += returns[day]
                square += returns[day] * returns[day]
            sums[index, block] = one
            squares[index, block] = square
        if constant:
            continue
        mean = total / days
        spread = 0.0
        for day in range(days):
            spread += (returns[day] - mean) * (returns[day] - mean)
        deviation = np.sqrt(spread / days)
        if not deviation > 0.0:
            continue
        varying += 1
        for day in range(days):
            standardized[day] += (returns[day] - mean) / deviation
    return varying


class ReturnAdder:
    """Adds up the daily returns of a batch, chunk by chunk, in memory that few sets take."""

    def __init__(self, set_count: int, level_count: int, wanted: WantedReturns) -> None:
        """Begin with nothing; `level_count` midnights have equity, `set_count` sets will come.

        Blocks given one by one must not have more days than there are.
        """
        days = max(0, level_count - 1)
        self._edges = frozen(wanted.edges(days))
        self._equal = not wanted.block_day_counts
        self._days = days
        self._levels = level_count
        self._returns = np.empty(days)
        self._daily = np.zeros((set_count, days if wanted.daily else 0))
        block_count = len(self._edges) - 1
        self._sums = np.zeros((set_count, block_count))
        self._squares = np.zeros((set_count, block_count))
        self._standardized = np.zeros(days)
        self._reasons = np.full(set_count, _FAILED if days else _TOO_FEW, np.uint8)
        self._varying = 0

    def room(self, set_count: int) -> Numbers:
        """Return room for the levels of a chunk, shape (sets, levels)."""
        return np.full((set_count, self._levels), np.nan)

    def add(self, sets: slice | Numbers, levels: Numbers, finite: Bytes) -> None:
        """Add a chunk: numbers of its sets, their levels, and 0 where a set's are unusable."""
        if self._days == 0:
            return
        count, blocks = len(levels), self._sums.shape[1]
        sums, squares = np.zeros((count, blocks)), np.zeros((count, blocks))
        reasons = np.zeros(count, np.uint8)
        daily = np.zeros((count, self._daily.shape[1]))
        self._varying += _add(
            frozen(levels),
            frozen(finite),
            self._edges,
            self._returns,
            daily,
            sums,
            squares,
            self._standardized,
            reasons,
        )
        self._sums[sets], self._squares[sets], self._reasons[sets] = sums, squares, reasons
        self._daily[sets] = daily

    def result(self) -> ReturnSums:
        """Return the sums; sets that were never added have failed."""
        return ReturnSums(
            day_count=self._days,
            dropped_day_count=int(self._edges[0]),
            block_day_count=int(self._edges[1] - self._edges[0]) if self._equal else 0,
            reasons=self._reasons,
            sums=self._sums,
            squares=self._squares,
            standardized=self._standardized,
            standardized_count=self._varying,
            daily=self._daily,
        )
