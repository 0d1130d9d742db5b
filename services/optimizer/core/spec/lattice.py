"""The points of a grid that fulfil its constraints, numbered, without holding any of them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from services.optimizer.core.spec.space import Filter, Space, constrained_head, grid_ranks
from services.optimizer.core.trial import Point


class Lattice:
    """The feasible points of a space in the order of its grid: point n in no time, for any n.

    Memory is eight bytes for each feasible point of the constrained parameters, and nothing for
    what stands behind them; a space without constraints needs none.
    """

    def __init__(self, space: Space, filters: Sequence[Filter]) -> None:
        """Find the feasible points.

        Raises:
            ValueError: a range has no step.
        """
        head, self._tail_count = constrained_head(space, filters)
        self._space = space
        self._head_ranks = array("Q", grid_ranks(head, filters))

    def __len__(self) -> int:
        """Return the number of feasible points."""
        return len(self._head_ranks) * self._tail_count

    def point(self, number: int) -> Point:
        """Return a point by its number, from 0 and below the length."""
        head, tail_rank = divmod(number, self._tail_count)
        return self._space.point_at(self._head_ranks[head] * self._tail_count + tail_rank)
