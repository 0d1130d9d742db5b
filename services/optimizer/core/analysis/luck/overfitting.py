"""Probability of backtest overfitting by combinatorially symmetric cross-validation.

Source: Bailey, Borwein, Lopez de Prado and Zhu, "The probability of backtest overfitting", Journal
of Computational Finance 20(4), 2017. Days are cut into blocks; each choice of half of them is once
in sample, the rest out of sample. The trial with the best Sharpe ratio in sample is ranked out of
sample; the share of choices where it lies at or below the middle is the probability.

Sums over blocks are taken in a fixed order by additions alone, so that equal trials tie exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments, sharpes

BLOCKS: Final = 16
"""Blocks of days."""

FEWEST_DAYS: Final = 2
"""Days a block must have."""

_CELLS_AT_ONCE: Final = 500_000
"""Sharpe ratios held at once: few enough for the processor's own memory."""


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What cross-validation found.

    Attributes:
        combination_count: Choices of half of the blocks.
        probability: Share of them whose best trial is at or below the middle out of sample.
        loss_probability: Share of them whose best trial has a Sharpe ratio below 0 there.
        degradation_slope: Slope of its Sharpe ratio out of sample over that in sample; None where
            that in sample is always the same.
    """

    combination_count: int
    probability: float
    loss_probability: float
    degradation_slope: float | None


def overfitting(moments: ReturnMoments) -> Overfitting | None:
    """Cross-validate trials; None with fewer than two, or fewer than two days a block."""
    trials, blocks = moments.sums.shape
    if trials < 2 or moments.block_day_count < FEWEST_DAYS:
        return None
    days = moments.block_day_count * (blocks // 2)
    inside, outside, low = [], [], 0
    for one, other in _halves(moments, days):
        # Each half is in sample once, against the other.
        for chosen_by, judged_in in ((one, other), (other, one)):
            best, value, ranks = _chosen(chosen_by, judged_in)
            inside.append(best)
            outside.append(value)
            # At most the middle rank: there the logit of rank / (trials + 1) is at most 0.
            low += int((2.0 * ranks <= trials + 1).sum())
    chosen, judged = np.concatenate(inside), np.concatenate(outside)
    return Overfitting(
        combination_count=len(chosen),
        probability=low / len(chosen),
        loss_probability=float((judged < 0.0).mean()),
        degradation_slope=_slope(chosen, judged),
    )


def _halves(moments: ReturnMoments, days: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the Sharpe ratios in some halves of the blocks and in the other halves.

    Shape (halves, trials) each. The sum over any choice of blocks is the sum over those among the
    first half of all blocks and that over those among the second half.
    """
    trials, blocks = moments.sums.shape
    half = blocks // 2
    sums = [_subset_sums(part) for part in np.split(moments.sums, 2, axis=1)]
    squares = [_subset_sums(part) for part in np.split(moments.squares, 2, axis=1)]
    every = (1 << half) - 1
    sizes = np.array([chosen.bit_count() for chosen in range(every + 1)])
    first, second = np.nonzero(sizes[:, None] + sizes == half)
    # Of a choice and its complement one stands for both.
    kept = first * (every + 1) + second < (every - first) * (every + 1) + every - second
    first, second = first[kept], second[kept]
    size = max(1, _CELLS_AT_ONCE // trials)
    for begin in range(0, len(first), size):
        own, other = first[begin : begin + size], second[begin : begin + size]
        yield (
            sharpes(sums[0][own] + sums[1][other], squares[0][own] + squares[1][other], days),
            sharpes(
                sums[0][every - own] + sums[1][every - other],
                squares[0][every - own] + squares[1][every - other],
                days,
            ),
        )


def _subset_sums(columns: Numbers) -> Numbers:
    """Return sums over all subsets of columns, shape (subsets, rows); bit i means column i."""
    rows, count = columns.shape
    sums = np.zeros((1 << count, rows))
    for column in range(count):
        sums[1 << column : 2 << column] = sums[: 1 << column] + columns[:, column]
    return sums


def _chosen(
    chosen_by: Numbers, judged_in: Numbers
) -> tuple[Numbers, Numbers, npt.NDArray[np.float64]]:
    """Return the best Sharpe ratio of each row, the same trial's in the other, its rank there.

    The lowest trial among equals is chosen; ranks are from 1, rising, the mean one among equals.
    """
    rows = np.arange(len(chosen_by))
    best = chosen_by.argmax(axis=1)
    value = judged_in[rows, best]
    below = (judged_in < value[:, None]).sum(axis=1)
    equal = (judged_in == value[:, None]).sum(axis=1)
    return chosen_by[rows, best], value, below + (equal + 1) / 2.0


def _slope(inside: Numbers, outside: Numbers) -> float | None:
    distance = inside - inside.mean()
    spread = float((distance**2).sum())
    if not spread > 0.0:
        return None
    return float((distance * (outside - outside.mean())).sum()) / spread
