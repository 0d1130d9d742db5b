"""Windows in order of size: medians and mean distances, in a logarithmic number of steps per bar.

The places of a Fenwick tree (1994) are the ranks of all numbers, equal ones by row; it holds those
of the window.
"""

from __future__ import annotations

import numpy as np

from services.backtest.core.indicators.expansions import (
    add_number,
    add_product,
    no_parts,
    rounded,
)
from services.backtest.core.kernel import Integers, Numbers, frozen, inner, kernel


def medians(values: Numbers, period: int) -> Numbers:
    """Return the medians of `period` numbers up to each; NaN where there are fewer.

    The median of an even count is the mean of the two middle ones.
    """
    out = np.full(len(values), np.nan)
    ranks, rising = _ranked(values)
    find_medians(ranks, rising, period, out)
    return out


def channel_indices(values: Numbers, period: int) -> Numbers:
    """Return the distances of each number from the mean of its window in 0.015 mean distances.

    0 where all are equal; NaN where there are fewer.
    """
    out = np.full(len(values), np.nan)
    ranks, rising = _ranked(values)
    index_windows(frozen(values), ranks, rising, period, out)
    return out


def _ranked(values: Numbers) -> tuple[Integers, Numbers]:
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), np.int64)
    ranks[order] = np.arange(len(values))
    return ranks, values[order]


@inner
def _count(tree: Integers, rank: int, change: int) -> None:
    place = rank + 1
    while place < len(tree):
        tree[place] += change
        place += place & -place


@inner
def _nth(tree: Integers, wanted: int) -> int:
    """Return the rank of the entry with `wanted` entries up to it."""
    step = 1
    while 2 * step < len(tree):
        step *= 2
    place = 0
    while step > 0:
        if place + step < len(tree) and tree[place + step] < wanted:
            place += step
            wanted -= tree[place]
        step //= 2
    return place


@kernel
def find_medians(ranks: Integers, rising: Numbers, period: int, out: Numbers) -> None:
    """Set out to the medians of windows."""
    tree = np.zeros(len(ranks) + 1, np.int64)
    for row in range(len(ranks)):
        _count(tree, ranks[row], 1)
        if row >= period:
            _count(tree, ranks[row - period], -1)
        if row >= period - 1:
            out[row] = rising[_nth(tree, period // 2 + 1)]
            if period % 2 == 0:
                out[row] = (rising[_nth(tree, period // 2)] + out[row]) / 2.0


@inner
def _not_above(rising: Numbers, bound: float) -> int:
    """Return how many numbers do not exceed the bound."""
    low, high = 0, len(rising)
    while low < high:
        middle = (low + high) // 2
        if rising[middle] <= bound:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def _add_to_tree(
    tree: Integers, sums: Numbers, rests: Numbers, rank: int, number: float, change: int
) -> None:
    # Sums of two doubles each; an empty place starts anew.
    place = rank + 1
    while place < len(tree):
        tree[place] += change
        total = sums[place] + number
        moved = total - sums[place]
        rests[place] += (sums[place] - (total - moved)) + (number - moved)
        sums[place] = total
        if tree[place] == 0:
            sums[place] = 0.0
            rests[place] = 0.0
        place += place & -place


@inner
def _distances(
    tree: Integers,
    sums: Numbers,
    rests: Numbers,
    parts: Numbers,
    count: int,
    below: int,
    mean: float,
    period: int,
) -> float:
    """Return the sum of distances from the mean, which `below` of all numbers do not exceed.

    `parts` hold the window's sum. Sum - 2 sum of those + (2 count of those - period) x mean.
    """
    found = 0
    place = below
    while place > 0:
        found += tree[place]
        count = add_number(parts, count, -2.0 * sums[place])
        count = add_number(parts, count, -2.0 * rests[place])
        place -= place & -place
    count = add_product(parts, count, 2.0 * found - period, mean)
    return rounded(parts, count)


@kernel
def index_windows(
    values: Numbers, ranks: Integers, rising: Numbers, period: int, out: Numbers
) -> None:
    """Set out to the channel indices of windows."""
    tree = np.zeros(len(values) + 1, np.int64)
    sums, rests = np.zeros(len(values) + 1), np.zeros(len(values) + 1)
    total, totaled = no_parts(), 1
    parts = no_parts()
    for row in range(len(values)):
        totaled = add_number(total, totaled, values[row])
        _add_to_tree(tree, sums, rests, ranks[row], values[row], 1)
        if row >= period:
            old = values[row - period]
            totaled = add_number(total, totaled, -old)
            _add_to_tree(tree, sums, rests, ranks[row - period], -old, -1)
        if row < period - 1:
            continue
        parts[0] = 0.0
        count = add_product(parts, 1, float(period), values[row])
        for place in range(totaled):
            count = add_number(parts, count, -total[place])
        distance = rounded(parts, count)
        mean = rounded(total, totaled) / period
        below = _not_above(rising, mean)
        parts[:totaled] = total[:totaled]
        spread = _distances(tree, sums, rests, parts, totaled, below, mean, period)
        out[row] = distance / (0.015 * spread) if distance != 0.0 and spread > 0.0 else 0.0
