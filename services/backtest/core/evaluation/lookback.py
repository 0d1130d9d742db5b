"""How many bars before a bar an expression depends on, derived from the expression alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from services.backtest.core.evaluation.timeline import bars_in
from services.backtest.core.expression.program import Node, Program
from services.backtest.core.expression.statics import evaluate_static
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import Value
from services.common.intervals import Interval


class Lookbacks:
    """The lookbacks of a program's nodes for one set's values."""

    def __init__(self, program: Program, values: Mapping[str, Value]) -> None:
        """Take a program without `choose`, and a value for every parameter its nodes name."""
        self._program = program
        self._values = values
        self._known: dict[tuple[int, Interval | None], int] = {}
        self._own: dict[int, int] = {}

    def own(self, node: Node) -> int:
        """Return the bars an operation adds to the lookbacks of what it works on; not for `on`."""
        if node.operation.startswith("crosses_"):
            return 1
        operation = INDICATORS.get(node.operation)
        if operation is None:
            return 0
        return operation.lookback(
            tuple(
                float(evaluate_static(self._program, place, self._values)) for place in node.statics
            )
        )

    def own_of_on(self, node: Node, interval: Interval) -> int:
        """Return the lookback of longer bars in bars of `interval`.

        The last longer bar closed may have ended almost a bar of its own ago.
        """
        longer = Interval(node.value)
        inner = self.total(node.inputs[0], longer)
        return inner if longer is interval else (inner + 2) * bars_in(longer, interval) - 2

    def total(self, place: int, interval: Interval) -> int:
        """Return the bars of `interval` before a bar that the value of a node depends on.

        Raises:
            IntervalUnusable: longer bars are asked for that those of `interval` do not make up.
        """
        for needed in self._needed(place):
            self._add(needed, interval)
        return self._known[place, interval]

    def row_count(self, roots: Iterable[tuple[int, int]], interval: Interval, most: int) -> int:
        """Return how many rows nodes take together: one per node and bar it begins at.

        Args:
            roots: Places of nodes, each with the bars before the window that it begins at.
            interval: Length of the bars.
            most: The count ends soon beyond it.
        """
        # Below `on` rows begin where that one tells: the third is the bars before the window.
        seen: set[tuple[int, int, int]] = {(place, above, -1) for place, above in roots}
        waiting = list(seen)
        while waiting and len(seen) <= most:
            fresh = set(self._below(*waiting.pop(), interval)) - seen
            seen |= fresh
            waiting += fresh
        return len(seen)

    def _below(
        self, place: int, above: int, outer: int, interval: Interval
    ) -> Iterator[tuple[int, int, int]]:
        node = self._program.nodes[place]
        if node.static:
            return
        if node.operation == "on" and Interval(node.value) is not interval:
            yield node.inputs[0], 0, above
            return
        if place not in self._own:
            self._own[place] = self.own(node)
        for below in node.inputs:
            yield below, above + self._own[place], outer

    def _needed(self, place: int) -> list[int]:
        """Return a node and all below it, those below first, without what lies inside `on`."""
        seen = {place}
        open_places = [place]
        while open_places:
            node = self._program.nodes[open_places.pop()]
            if node.operation == "on":
                continue
            for below in node.inputs:
                if below not in seen:
                    seen.add(below)
                    open_places.append(below)
        return sorted(seen)

    def _add(self, place: int, interval: Interval) -> None:
        if (place, interval) in self._known:
            return
        node = self._program.nodes[place]
        if node.static:
            total = 0
        elif node.operation == "on":
            total = self.own_of_on(node, interval)
        else:
            below = (self._known[one, interval] for one in node.inputs)
            total = self.own(node) + max(below, default=0)
        self._known[place, interval] = total
