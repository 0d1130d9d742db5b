"""Brute force: every point of a small space once, in an order drawn by chance.

The order is a Fisher-Yates shuffle of the point numbers whose draws are hashes turned into places
by whole-number arithmetic: the same on every machine.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from services.common.errors import AssayError, Code
from services.optimizer.core.searches.seeds import RESOLUTION, draw
from services.optimizer.core.spec.lattice import Lattice
from services.optimizer.core.spec.space import ENUMERATION_LIMIT, Filter, Space
from services.optimizer.core.trial import Point, Trial

LARGEST_SPACE: Final = 100_000
"""Points, after the constraints, that can be put into an order."""


class BruteForceSearch:
    """A `Search` without repetition; trial n is the n-th point of the shuffled grid."""

    def __init__(
        self, space: Space, filters: Sequence[Filter], seed: int, generation_size: int
    ) -> None:
        """Shuffle the points.

        Raises:
            AssayError: INVALID_ARGUMENT/GRID_TOO_LARGE, more points than can be shuffled, or so
                many before the constraints that they cannot be counted.
            ValueError: a range has no step.
        """
        full = space.point_count
        if full is not None and full > (ENUMERATION_LIMIT if filters else LARGEST_SPACE):
            raise _too_large(full)
        self._lattice = Lattice(space, filters)
        if len(self._lattice) > LARGEST_SPACE:
            raise _too_large(len(self._lattice))
        self._order = _shuffled(len(self._lattice), seed)
        self._generation_size = generation_size

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points, fewer where all have been given."""
        first = generation_number * self._generation_size
        return [self._lattice.point(number) for number in self._order[first : first + count]]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing: all points will be tried."""


def _shuffled(count: int, seed: int) -> array[int]:
    order = array("I", range(count))
    for last in range(count - 1, 0, -1):
        place = draw(seed, "brute_force", last) * (last + 1) // RESOLUTION
        order[last], order[place] = order[place], order[last]
    return order


def _too_large(point_count: int) -> AssayError:
    return AssayError(
        Code.INVALID_ARGUMENT,
        "GRID_TOO_LARGE",
        f"the space has {point_count:,} points, brute force takes at most {LARGEST_SPACE:,}",
        metadata={"point_count": str(point_count), "limit": str(LARGEST_SPACE)},
    )
