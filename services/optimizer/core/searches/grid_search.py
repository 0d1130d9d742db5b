"""Grid search: every point of the space that fulfils the constraints, once, in order."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.spec.lattice import Lattice
from services.optimizer.core.spec.space import Filter, Space
from services.optimizer.core.trial import Point, Trial


class GridSearch:
    """A `Search` over all points of a grid; trial n is point n."""

    def __init__(self, space: Space, filters: Sequence[Filter], generation_size: int) -> None:
        self._lattice = Lattice(space, filters)
        self._generation_size = generation_size

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points, fewer at the end of the grid."""
        first = generation_number * self._generation_size
        last = min(first + count, len(self._lattice))
        return [self._lattice.point(number) for number in range(first, last)]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing: a grid is what it is."""
