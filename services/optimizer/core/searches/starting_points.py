"""Points given by the caller, tried before what a search proposes."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.ports import Search
from services.optimizer.core.trial import Point, Trial


class StartingPoints:
    """A `Search` whose first trials are given points; another search proposes the others.

    Where a trial of the inner search is a function of its number, trial n stays what it would have
    been without given points. A search that learns proposes what they leave of their generation:
    its generation is that much smaller, its first points are the ones that follow them, and it is
    told all.
    """

    def __init__(
        self, inner: Search, points: Sequence[Point], generation_size: int, *, by_number: bool
    ) -> None:
        """Put points before a search.

        Args:
            inner: The search.
            points: Trials 0 to k - 1.
            generation_size: Trials asked for together.
            by_number: Whether trial n of the inner search depends on n alone.
        """
        self._inner = inner
        self._points = tuple(points)
        self._generation_size = generation_size
        self._by_number = by_number

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points."""
        first = generation_number * self._generation_size
        given = list(self._points[first : first + count])
        if len(given) == count:
            return given
        if self._by_number:
            return [*given, *self._inner.ask(generation_number, count)[len(given) :]]
        return [*given, *self._inner.ask(generation_number, count - len(given))]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Pass a finished generation on, given points included."""
        self._inner.tell(trials)
