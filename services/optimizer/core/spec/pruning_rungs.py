"""Where trials are looked at before their end: rungs, in bars of the window from its first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.optimizer.core.spec.draft import PruningKind, PruningRule

SHORTEST_RUNG: Final = 2
"""Bars of the shortest rung: one for a decision, one for its fill."""


def rung_bar_counts(rule: PruningRule, bar_count: int) -> tuple[int, ...]:
    """Return the rungs of a rule over a window, rising; the given ones where there are any.

    median, percentile: the ends of segments 1, 2, 4 ... of n equal ones, floor(bars x k / n), as
    far as they lie in the first third of the window: whoever stays runs them all once more.
    successive_halving: floor(bars / factor^k) for k from the number of rungs down to 1.
    Those that fall together, or below 2 bars, are left out.
    """
    if rule.rung_bar_counts:
        return rule.rung_bar_counts
    ends: Iterable[int]
    if rule.kind is PruningKind.SUCCESSIVE_HALVING:
        ends = (bar_count // rule.reduction_factor**k for k in range(1, rule.rung_count + 1))
    else:
        ends = (
            bar_count * 2**k // rule.segment_count
            for k in range(rule.segment_count.bit_length())
            if 3 * 2**k <= rule.segment_count
        )
    return tuple(sorted({end for end in ends if SHORTEST_RUNG <= end < bar_count}))
