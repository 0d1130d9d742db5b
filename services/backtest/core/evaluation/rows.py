"""Numbers bar by bar: the expressions of a program evaluated on one frame, each once.

A row is named by its operation, its periods, the rows it is made of and the bar it starts at, which
is counted back from the window's first bar by the lookbacks above it. So a row is the same however
much longer the frame is, and whatever other sets need it.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Final

import numpy as np

from services.backtest.core.evaluation.arithmetic import ELEMENTWISE, compared
from services.backtest.core.evaluation.lookback import Lookbacks
from services.backtest.core.evaluation.row import MeanRow, Row
from services.backtest.core.evaluation.timeline import (
    Timeline,
    last_closed,
    longer_timeline,
    seen_from,
    timeline_of,
)
from services.backtest.core.expression.program import Kind, Node, Program
from services.backtest.core.expression.statics import evaluate_static
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.means import Means
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.kernel import Numbers, frozen
from services.backtest.core.parameters import Value
from services.backtest.core.plugins.calls import outputs
from services.common.intervals import Interval

_MOST_BYTES: Final = 48 * 2**20
"""Rows of a whole frame beyond this are forgotten, least recently used first; to compute them again
costs little."""

_BYTES_OF_A_ROW: Final = 1_024
"""About what a row costs beside its values, so that those without any are forgotten too."""

_CANDLE_COLUMNS: Final = frozenset({"open", "high", "low", "close", "volume"})


class Scope:
    """A program with the parameter values of one set, as its rows need them."""

    def __init__(self, program: Program, values: Mapping[str, Value]) -> None:
        """Take a program without `choose`, and a value for every parameter its nodes name."""
        self.program = program
        self.lookbacks = Lookbacks(program, values)
        self.rows: dict[tuple[int, int, Hashable], Row] = {}
        self._values = values

    def static(self, place: int) -> float:
        """Return the value of a static number or condition; conditions are 1 or 0."""
        return float(evaluate_static(self.program, place, self._values))

    def statics(self, node: Node) -> tuple[float, ...]:
        """Return the periods and factors of an indicator."""
        return tuple(self.static(place) for place in node.statics)


class Rows:
    """Makes and keeps the rows of one frame; one thread at a time, others wait."""

    def __init__(self, frame: Frame) -> None:
        """Take a frame that reaches back as far as its rows will, or to its dataset's start."""
        self._base = timeline_of(frame)
        self._kept: OrderedDict[Hashable, tuple[Row, ...]] = OrderedDict()
        self._longer: dict[Interval, Timeline] = {}
        self._means: dict[tuple[Interval, str], Means] = {}
        self._bytes = 0
        self._memory_ratio = frame.memory_ratio
        self._made = 0
        self._lock = threading.RLock()

    def row(self, scope: Scope, place: int, above: int) -> Row:
        """Return a number or condition of a scope bar by bar; conditions are 1 or 0.

        It begins `above` bars before the window, or at the frame's first bar.

        Raises:
            IntervalUnusable: an expression asks for bars the frame's do not make up.
        """
        with self._lock:
            return self._row(scope, place, above, self._base)

    def _row(self, scope: Scope, place: int, above: int, timeline: Timeline) -> Row:
        key = (place, above, (timeline.interval, timeline.first, timeline.origin))
        row = scope.rows.get(key)
        if row is None:
            row = scope.rows[key] = self._make(scope, place, above, timeline)
        return row

    def _make(self, scope: Scope, place: int, above: int, timeline: Timeline) -> Row:
        node = scope.program.nodes[place]
        start = timeline.start(above)
        if node.static:
            return self._constant(scope.static(place), start, timeline)
        if node.operation == "column":
            return self._column(str(node.value), start, timeline)
        if node.operation == "on":
            return self._on(scope, node, above, timeline)
        if node.operation in ELEMENTWISE:
            return self._elementwise(scope, node, above, timeline)
        if node.kind is Kind.CONDITION:
            return self._condition(scope, node, above, timeline)
        return self._indicator(scope, node, above, timeline)

    def _constant(self, value: float, start: int, timeline: Timeline) -> Row:
        # There are many NaN, which are not even equal to themselves; this is the one of keys.
        value = np.nan if math.isnan(value) else value
        values = np.broadcast_to(np.float64(value), len(timeline) - start)
        key = ("constant", value, start, timeline.interval)
        return self._keep(key, lambda: ((values, 0),), start, owned=False)[0]

    def _column(self, name: str, start: int, timeline: Timeline) -> Row:
        return self._keep(
            ("column", name, start, timeline.interval),
            lambda: ((timeline.column(name)[start:], 0),),
            start,
            owned=name not in _CANDLE_COLUMNS,
        )[0]

    def _elementwise(self, scope: Scope, node: Node, above: int, timeline: Timeline) -> Row:
        inputs = [self._row(scope, place, above, timeline) for place in node.inputs]
        return self._combined(node, inputs, lambda parts: ELEMENTWISE[node.operation](*parts))

    def _condition(self, scope: Scope, node: Node, above: int, timeline: Timeline) -> Row:
        if node.operation == "first_decision":
            # Where a number is wanted of it, nothing has been decided yet.
            return self._constant(0.0, timeline.start(above), timeline)
        before = 1 if node.operation.startswith("crosses_") else 0
        inputs = [self._row(scope, place, above + before, timeline) for place in node.inputs]
        start = timeline.start(above)
        return self._combined(
            node, inputs, lambda parts: compared(node.operation, parts), start, before
        )

    def _combined(
        self,
        node: Node,
        inputs: list[Row],
        compute: Callable[[list[Numbers]], Numbers],
        start: int | None = None,
        before: int = 0,
    ) -> Row:
        """Return what is computed bar by bar of rows that begin together."""
        first = inputs[0].start
        start = first if start is None else start
        # Longer bars may begin later than their timeline, and inputs together with them.
        earliest = first if before and start == first else 0
        defined = max(earliest, *(row.defined for row in inputs)) + before
        key = (node.operation, node.value, tuple(row.number for row in inputs), start)

        def make() -> tuple[tuple[Numbers, int]]:
            with np.errstate(all="ignore"):
                values = compute([row.values for row in inputs])
            return ((values[start - first :], defined),)

        return self._keep(key, make, start)[0]

    def _indicator(self, scope: Scope, node: Node, above: int, timeline: Timeline) -> Row:
        operation = INDICATORS[node.operation]
        statics = scope.statics(node)
        lookback = scope.lookbacks.own(node)
        start = timeline.start(above)
        begin = timeline.start(above + lookback)
        inputs = [self._column(name, begin, timeline) for name in operation.columns]
        inputs += [self._row(scope, place, above + lookback, timeline) for place in node.inputs]
        if operation.name == "sma" and self._is_price(scope, node):
            return self._mean(scope, node, int(statics[0]), start, timeline)
        key = (operation.family, statics, tuple(row.number for row in inputs), start)

        def make() -> tuple[tuple[Numbers, int], ...]:
            known = min(max([begin, *(row.defined for row in inputs)]), len(timeline))
            columns = tuple(
                frozen(np.ascontiguousarray(row.values[known - row.start :])) for row in inputs
            )
            undefined = _undefined(operation.family, statics)
            return tuple(
                (_from(start, known, column, len(timeline)), known + undefined.get(output, 0))
                for output, column in enumerate(outputs(operation, columns, statics))
            )

        return self._keep(key, make, start)[operation.output]

    def _is_price(self, scope: Scope, node: Node) -> bool:
        source = scope.program.nodes[node.inputs[0]]
        return source.operation == "column" and source.value in _CANDLE_COLUMNS

    def _mean(self, scope: Scope, node: Node, period: int, start: int, timeline: Timeline) -> Row:
        """Means of a candle column share its sums, and cost no memory until they are read."""
        name = str(scope.program.nodes[node.inputs[0]].value)
        defined = timeline.first + period - 1
        key = ("mean", name, period, start, timeline.interval, defined)
        kept = self._known(key)
        if kept is None:
            means = self._means.get((timeline.interval, name))
            if means is None:
                means = self._means[timeline.interval, name] = Means(timeline.column(name))
            self._made += 1
            row = MeanRow(self._made, start, defined, len(timeline), means, period)
            kept = self._remember(key, (row,))
        return kept[0]

    def _on(self, scope: Scope, node: Node, above: int, timeline: Timeline) -> Row:
        interval = Interval(node.value)
        if interval is timeline.interval:
            return self._row(scope, node.inputs[0], above, timeline)
        start = timeline.start(above)
        begin = timeline.start(above + scope.lookbacks.own_of_on(node, timeline.interval))
        if interval not in self._longer:
            self._longer[interval] = longer_timeline(timeline, interval)
        longer = seen_from(self._longer[interval], timeline, begin, start)
        if longer.first >= len(longer):
            return self._undefined(start, timeline)
        inner = self._row(scope, node.inputs[0], 0, longer)

        def make() -> tuple[tuple[Numbers, int]]:
            places = last_closed(longer, timeline, start)
            values = np.where(
                places >= inner.start, inner.values[np.maximum(places - inner.start, 0)], np.nan
            )
            defined = start + int(np.searchsorted(places, max(inner.defined, inner.start)))
            return ((values, defined),)

        return self._keep(("on", inner.number, start), make, start)[0]

    def _undefined(self, start: int, timeline: Timeline) -> Row:
        """Return a row that never has a value."""
        length = len(timeline)
        values = np.broadcast_to(np.float64(np.nan), length - start)
        return self._keep(("undefined", start), lambda: ((values, length),), start, owned=False)[0]

    def _keep(
        self,
        key: Hashable,
        make: Callable[[], tuple[tuple[Numbers, int], ...]],
        start: int,
        *,
        owned: bool = True,
    ) -> tuple[Row, ...]:
        """Return the rows of a key, made when not kept; not `owned` ones cost no memory."""
        kept = self._known(key)
        if kept is not None:
            return kept
        made = []
        for values, defined in make():
            self._made += 1
            size = values.nbytes if owned else 0
            made.append(Row(self._made, start, defined, frozen(values), size))
        return self._remember(key, tuple(made))

    def _known(self, key: Hashable) -> tuple[Row, ...] | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def _remember(self, key: Hashable, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        """Keep rows, and forget others where they become too many bytes."""
        self._kept[key] = rows
        self._bytes += _bytes_of(rows)
        most = _MOST_BYTES * self._memory_ratio
        while self._bytes > most and len(self._kept) > 1:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= _bytes_of(forgotten)
        return rows


def _bytes_of(rows: tuple[Row, ...]) -> int:
    return sum(row.nbytes + _BYTES_OF_A_ROW for row in rows)


def _undefined(family: str, statics: tuple[float, ...]) -> dict[int, int]:
    """Return the values without a number at the beginning of each output of a family."""
    return {
        one.output: one.undefined(statics) for one in INDICATORS.values() if one.family == family
    }


def _from(start: int, known: int, column: Numbers, length: int) -> Numbers:
    """Return a column that begins at bar `known` as one that begins at `start`."""
    if known <= start:
        return column[start - known :]
    values = np.full(length - start, np.nan)
    values[known - start :] = column
    return values
