"""Sums without rounding: a number kept as doubles that do not overlap, its parts.

From J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric
predicates" (1997), as in Python's math.fsum; products after T. J. Dekker (1971). A sliding sum of
such parts takes away exactly what was added, so it depends on its window and on nothing before it.
Numbers must be finite and small enough that no product or sum overflows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Numbers, inner

MOST_PARTS: Final = 2_112
"""Parts share no bit, and doubles have 2,098 different bits."""

_SPLITTER: Final = 2.0**27 + 1.0


@inner
def no_parts() -> Numbers:
    """Return room for the parts of a sum, which is 0 as one part."""
    return np.zeros(MOST_PARTS)


@inner
def add_number(parts: Numbers, count: int, number: float) -> int:
    """Add a number to the sum of the first `count` parts; return how many there are then."""
    kept = 0
    for place in range(count):
        number, rest = sum_of_two(number, parts[place])
        # Written in any case and kept where it is not 0: a jump would be guessed wrong.
        parts[kept] = rest
        kept += rest != 0.0
    parts[kept] = number
    return kept + 1


@inner
def sum_of_two(one: float, other: float) -> tuple[float, float]:
    """Return the rounded sum and what it misses."""
    total = one + other
    moved = total - one
    return total, (one - (total - moved)) + (other - moved)


@inner
def product_of_two(one: float, other: float) -> tuple[float, float]:
    """Return the rounded product and what it misses."""
    product = one * other
    wide = _SPLITTER * one
    one_high = wide - (wide - one)
    one_low = one - one_high
    wide = _SPLITTER * other
    other_high = wide - (wide - other)
    other_low = other - other_high
    missing = product - one_high * other_high
    missing -= one_low * other_high
    missing -= one_high * other_low
    return product, one_low * other_low - missing


@inner
def add_product(parts: Numbers, count: int, one: float, other: float) -> int:
    """Add one x other, not rounded; return how many parts there are then."""
    product, missing = product_of_two(one, other)
    count = add_number(parts, count, missing)
    return add_number(parts, count, product)


@inner
def condensed(parts: Numbers, count: int) -> tuple[float, float]:
    """Return the sum of up to 8 parts as two doubles; wrong by up to 2^-98 of the largest part."""
    total, rest = float(parts[count - 1]), 0.0
    for place in range(count - 2, -1, -1):
        total, missing = sum_of_two(total, parts[place])
        rest += missing
    return total, rest


@inner
def rounded(parts: Numbers, count: int) -> float:
    """Return the double nearest to the sum of the parts."""
    place = count - 1
    total = float(parts[place])
    rest = 0.0
    while place > 0 and rest == 0.0:
        place -= 1
        large, small = total, parts[place]
        total = large + small
        rest = small - (total - large)
    # Half-way cases: the parts below decide.
    if place > 0 and ((rest < 0.0) == (parts[place - 1] < 0.0)) and parts[place - 1] != 0.0:
        twice = rest * 2.0
        if twice == (total + twice) - total:
            total += twice
    return total
