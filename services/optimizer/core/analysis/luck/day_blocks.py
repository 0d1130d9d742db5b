"""Days cut into blocks fine enough for all that is asked of sums over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from services.optimizer.core.analysis.luck.overfitting import BLOCKS
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments


@dataclass(frozen=True, slots=True)
class DayBlocks:
    """Blocks of days, one behind the other up to the newest day.

    Attributes:
        edges: Where each begins, rising, and the number of days; at least two numbers.
    """

    edges: tuple[int, ...]

    @classmethod
    def along(cls, cuts: Iterable[int], day_count: int) -> DayBlocks:
        """Return the blocks between cuts, of at least one day; a single one without any cut."""
        inside = {cut for cut in cuts if 0 <= cut < day_count}
        return cls((*(sorted(inside) or (0,)), day_count))

    @property
    def lengths(self) -> list[int]:
        """Days of each."""
        return [end - begin for begin, end in pairwise(self.edges)]

    def between(self, sums: Numbers, edges: Sequence[int]) -> Numbers:
        """Return the sums over longer blocks, shape (trials, longer blocks).

        Added one after the other, so that equal trials stay equal to the bit.

        Args:
            sums: Sums over these blocks, shape (trials, blocks).
            edges: Where each longer block begins, and where the last one ends; all in `edges`.
        """
        places = [self.edges.index(edge) for edge in edges]
        found = np.zeros((len(sums), len(edges) - 1))
        for block, (begin, end) in enumerate(pairwise(places)):
            for place in range(begin, end):
                found[:, block] += sums[:, place]
        return found


def halving_edges(day_count: int) -> range:
    """Return where the equal blocks of the probability of overfitting begin, and the last ends.

    The oldest days left over are in none. Empty with fewer days than blocks.
    """
    length = day_count // BLOCKS
    return range(day_count - BLOCKS * length, day_count + 1, length) if length else range(0)


def halving_moments(moments: ReturnMoments, blocks: DayBlocks) -> ReturnMoments:
    """Return moments over blocks as those over the equal blocks of the probability of overfitting.

    Sums are 0 with fewer days than blocks.
    """
    days, edges = moments.day_count, halving_edges(moments.day_count)
    nothing = np.zeros((len(moments.sums), BLOCKS))
    return ReturnMoments(
        day_count=days,
        dropped_day_count=days % BLOCKS,
        block_day_count=days // BLOCKS,
        sums=blocks.between(moments.sums, edges) if edges else nothing,
        squares=blocks.between(moments.squares, edges) if edges else nothing,
        standardized=moments.standardized,
        standardized_count=moments.standardized_count,
    )
