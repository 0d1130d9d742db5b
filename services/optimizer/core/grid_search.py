"""Grid search: every point of the space that fulfils the constraints, once, in order."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.space import Filter, Space, grid_points
from services.optimizer.core.trial import Point, Trial, Value


class GridSearch:
    """A `Search` over all points of a grid; trial n is point n."""

    def __init__(self, space: Space, filters: Sequence[Filter], generation_size: int) -> None:
        self._space = space
        self._points: list[tuple[Value, ...]] = list(grid_points(space, filters))
        self._generation_size = generation_size

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's points, fewer at the end of the grid."""
        first = generation_number * self._generation_size
        return [self._space.point(values) for values in self._points[first : first + count]]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing: a grid is what it is."""
