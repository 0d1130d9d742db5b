"""Programs evaluated from the definitions of their operations, plainly and slowly.

Everything is a list over the bars of a whole dataset. An expression "from" a bar has no value
before it, and looks back exactly as many bars before it as its lookbacks add up to. None is
undefined.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.backtest.core.expression.program import Kind, Node, Program
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import Value
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval

Number = float | None

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
}


@dataclass(frozen=True)
class Bars:
    """Bars of a dataset, or longer ones made of them."""

    interval: Interval
    opens_ms: list[int]
    columns: Mapping[str, list[float]]

    def closes_ms(self, bar: int) -> int:
        """When a bar is over."""
        return self.opens_ms[bar] + self.interval.length_ms


@dataclass(frozen=True)
class Line:
    """Values of a node, and the bar from which on it is said to have them."""

    values: list[Number]
    defined: int


def bars_of(candles: Candles, interval: Interval) -> Bars:
    """Return the bars of a dataset."""
    names = ("open", "high", "low", "close", "volume")
    columns = {name: getattr(candles, name).tolist() for name in names}
    return Bars(interval, candles.open_time_ms.tolist(), columns)


def longer_bars(bars: Bars, interval: Interval, begin: int) -> Bars:
    """Fold the bars from `begin` on, without a longer bar that `begin` lies inside of."""
    phase = 4 * DAY_MS if interval is Interval.WEEK_1 else 0
    groups: dict[int, list[int]] = {}
    for bar in range(begin, len(bars.opens_ms)):
        since = (bars.opens_ms[bar] - phase) % interval.length_ms
        groups.setdefault(bars.opens_ms[bar] - since, []).append(bar)
    if groups and (first := next(iter(groups))) != bars.opens_ms[begin]:
        del groups[first]

    def fold(name: str, made: Callable[[list[float]], float]) -> list[float]:
        return [made([bars.columns[name][bar] for bar in parts]) for parts in groups.values()]

    def total(parts: list[float]) -> float:
        added = 0.0
        for part in parts:
            added += part
        return added

    columns = {
        "open": fold("open", lambda parts: parts[0]),
        "high": fold("high", max),
        "low": fold("low", min),
        "close": fold("close", lambda parts: parts[-1]),
        "volume": fold("volume", total),
    }
    return Bars(interval, list(groups), columns)


@dataclass
class Naive:
    """One program with the values of one set; `first` is the bar of the first decision."""

    program: Program
    values: Mapping[str, Value]
    bars: Bars
    first: int = -1
    known: dict[tuple[int, int], Line] = field(default_factory=dict)

    def static(self, place: int) -> float:
        """What a node gives that depends on parameters alone; NaN where it is not finite."""
        node = self.program.nodes[place]
        if node.operation == "constant":
            assert isinstance(node.value, (int, float))
            return node.value
        if node.operation == "parameter":
            value = self.values[str(node.value)]
            assert not isinstance(value, str)
            return value
        if node.operation == "if_else":
            return self.static(node.inputs[1 if self.static(node.inputs[0]) == 1 else 2])
        inputs = [self.static(one) for one in node.inputs]
        if node.kind is Kind.CONDITION:
            truths = [None if math.isnan(one) else one for one in inputs]
            return float(_decided(node.operation, truths))
        found = _reckoned(node.operation, [None if math.isnan(one) else one for one in inputs])
        return math.nan if found is None else found

    def own(self, node: Node) -> int:
        """Bars an operation looks back on itself."""
        if node.operation in INDICATORS:
            statics = tuple(float(self.static(one)) for one in node.statics)
            return INDICATORS[node.operation].lookback(statics)
        return 1 if node.operation.startswith("crosses_") else 0

    def lookback(self, place: int, interval: Interval) -> int:
        """Bars of `interval` a node looks back on, with all below it."""
        node = self.program.nodes[place]
        if node.static:
            return 0
        if node.operation == "on":
            return self.longer_lookback(node, interval)
        below = [self.lookback(one, interval) for one in node.inputs]
        return self.own(node) + max(below, default=0)

    def longer_lookback(self, node: Node, interval: Interval) -> int:
        """As long as it takes from the close before a longer bar's end, in whole longer bars."""
        longer = Interval(node.value)
        inner = self.lookback(node.inputs[0], longer)
        if longer is interval:
            return inner
        ratio = longer.length_ms // interval.length_ms
        # ratio - 1 bars of the one not over, then inner + 1 longer bars, less the bar itself.
        return ratio - 1 + (inner + 1) * ratio - 1

    def line(self, place: int, start: int) -> Line:
        """A node from bar `start` on, which is below 0 where the dataset begins later."""
        key = (place, max(start, 0))
        if key not in self.known:
            self.known[key] = self._line(self.program.nodes[place], place, start)
        return self.known[key]

    def _line(self, node: Node, place: int, start: int) -> Line:
        count = len(self.bars.opens_ms)
        if node.static:
            value = float(self.static(place))
            return Line([None if math.isnan(value) else value] * count, 0)
        if node.operation == "column":
            return Line(self._column(str(node.value)), 0)
        if node.operation == "first_decision":
            return Line([float(bar == self.first) for bar in range(count)], 0)
        if node.operation == "on":
            return self._on(node, start)
        if node.operation in INDICATORS:
            return self._indicator(node, start)
        before = self.own(node)
        lines = [self.line(one, start - before) for one in node.inputs]
        values: list[Number] = [None] * count
        for bar in range(max(start, 0), count):
            inputs = [line.values[bar] for line in lines]
            if before:
                earlier = [line.values[bar - 1] if bar else None for line in lines]
                values[bar] = float(_crosses(node.operation, earlier, inputs))
            elif node.operation == "if_else":
                values[bar] = inputs[1 if inputs[0] == 1 else 2]
            elif node.kind is Kind.CONDITION:
                values[bar] = float(_decided(node.operation, inputs))
            else:
                values[bar] = _reckoned(node.operation, inputs)
        return Line(values, max(line.defined for line in lines) + before)

    def _column(self, name: str) -> list[Number]:
        if name == "hour":
            return [float(time // 3_600_000 % 24) for time in self.bars.opens_ms]
        if name == "weekday":
            return [float((time // DAY_MS + 3) % 7) for time in self.bars.opens_ms]
        return list(self.bars.columns[name])

    def _indicator(self, node: Node, start: int) -> Line:
        """Each value from the columns that end with its bar, and nothing behind it."""
        count = len(self.bars.opens_ms)
        operation = INDICATORS[node.operation]
        statics = tuple(float(self.static(one)) for one in node.statics)
        begin = start - operation.lookback(statics)
        lines = [self.line(one, begin) for one in node.inputs]
        known = min(max([begin, 0, *(line.defined for line in lines)]), count)
        given = [self._column(name) for name in operation.columns]
        given += [line.values for line in lines]
        table = np.array([[math.nan if one is None else one for one in row] for row in given])
        values: list[Number] = [None] * count
        for bar in range(max(start, known), count):
            columns = tuple(np.ascontiguousarray(row[known : bar + 1]) for row in table)
            for column in columns:
                column.flags.writeable = False
            last = float(operation.compute(columns, statics)[operation.output][-1])
            values[bar] = None if math.isnan(last) else last
        return Line(values, known + operation.undefined(statics))

    def _on(self, node: Node, start: int) -> Line:
        longer = Interval(node.value)
        if longer is self.bars.interval:
            return self.line(node.inputs[0], start)
        begin = max(start - self.longer_lookback(node, self.bars.interval), 0)
        inner = Naive(self.program, self.values, longer_bars(self.bars, longer, begin))
        count = len(self.bars.opens_ms)
        over = [inner.bars.closes_ms(bar) for bar in range(len(inner.bars.opens_ms))]
        last = [sum(time <= self.bars.closes_ms(bar) for time in over) - 1 for bar in range(count)]
        if not over:
            return Line([None] * count, count)
        origin = max(last[max(start, 0)], 0)
        line = inner.line(node.inputs[0], origin)
        bars = range(max(start, 0), count)
        values: list[Number] = [None] * count
        for bar in bars:
            values[bar] = line.values[last[bar]] if last[bar] >= 0 else None
        usable = (bar for bar in bars if last[bar] >= max(line.defined, origin))
        return Line(values, next(usable, count))


def _reckoned(operation: str, inputs: Sequence[Number]) -> Number:
    """Arithmetic; what is not finite is undefined."""
    one, *others = inputs
    if one is None or None in others:
        return None
    second = float(others[0] or 0.0) if others else 0.0
    if operation == "divide":
        found = one / second if second else math.nan
    elif operation == "square_root":
        found = math.sqrt(one) if one >= 0.0 else math.nan
    else:
        found = {
            "add": lambda: one + second,
            "subtract": lambda: one - second,
            "multiply": lambda: one * second,
            "negate": lambda: -one,
            "absolute": lambda: abs(one),
            "smaller": lambda: min(one, second),
            "larger": lambda: max(one, second),
        }[operation]()
    return found if math.isfinite(found) else None


def _decided(operation: str, inputs: Sequence[Number]) -> bool:
    """Comparison and logic; undefined values compare false, and what is undefined is not so."""
    if operation in _COMPARISONS:
        one, other = inputs
        return one is not None and other is not None and _COMPARISONS[operation](one, other)
    truths = [one == 1 for one in inputs]
    if operation == "not":
        return not truths[0]
    return all(truths) if operation == "and" else any(truths)


def _crosses(operation: str, before: Sequence[Number], now: Sequence[Number]) -> bool:
    if operation == "crosses_below":
        before, now = before[::-1], now[::-1]
    return _decided("less_equal", before) and _decided("greater", now)


def inputs_defined(naive: Naive, signals: Sequence[int], start: int) -> int:
    """Return the first bar from `start` on at which all that signals compare is defined."""
    nodes = naive.program.nodes
    bars = [start]
    waiting = list(signals)
    while waiting:
        place = waiting.pop()
        node = nodes[place]
        if node.static or node.operation == "first_decision":
            continue
        if node.operation in {"and", "or", "not"}:
            waiting += node.inputs
        else:
            bars.append(naive.line(place, start).defined)
    return max(bars)
