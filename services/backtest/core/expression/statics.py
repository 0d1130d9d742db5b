"""What parameters alone decide: the values of static nodes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from services.backtest.core.expression.program import Kind, Node, Program
from services.backtest.core.expression.words import LARGEST_WHOLE
from services.backtest.core.indicators.operation import Static
from services.backtest.core.parameters import Value

StaticValue = int | float | bool | str


class WholeTooLarge(ArithmeticError):  # noqa: N818 - says what it is about
    """A whole number left the range in which float64 knows every whole number.

    Attributes:
        field: Field of the definition the operation stands in.
        position: Character of the text it begins at, from 0.
    """

    def __init__(self, field: str, position: int) -> None:
        self.field = field
        self.position = position
        super().__init__("a whole number is beyond 2^53, the largest that can be told apart")


def _divide(one: float, other: float) -> float:
    if other != 0.0:
        return one / other
    if one == 0.0 or math.isnan(one):
        return math.nan
    return math.copysign(math.inf, one) * math.copysign(1.0, other)


def _smaller(one: float, other: float) -> float:
    """Return the smaller number; undefined where one of them is."""
    return one if one <= other or math.isnan(one) else other


def _larger(one: float, other: float) -> float:
    return one if one >= other or math.isnan(one) else other


def _square_root(number: float) -> float:
    return math.sqrt(number) if number >= 0.0 else math.nan


OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": _divide,
    "negate": operator.neg,
    "absolute": abs,
    "smaller": _smaller,
    "larger": _larger,
    "square_root": _square_root,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    # An undefined value compares false, also here.
    "not_equal": lambda one, other: one < other or one > other,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.not_,
}
"""Arithmetic, comparison and logic. Of equal numbers the first is the smaller and the larger."""


def operate(node: Node, values: Sequence[StaticValue]) -> StaticValue:
    """Return what a node of arithmetic, comparison or logic gives for values of its inputs.

    Raises:
        WholeTooLarge: The result is a whole number beyond 2^53.
    """
    if node.kind is Kind.NUMBER:
        values = [float(value) for value in values]
    found = cast("StaticValue", OPERATIONS[node.operation](*values))
    if node.kind is Kind.WHOLE and abs(cast("int", found)) > LARGEST_WHOLE:
        raise WholeTooLarge(node.field, node.position)
    if node.kind is Kind.NUMBER and not math.isfinite(cast("float", found)):
        # As bar by bar: a number that is not finite is none.
        return math.nan
    return found


def evaluate_static(program: Program, place: int, values: Mapping[str, Value]) -> StaticValue:
    """Return the value of a static node for one parameter set.

    Arithmetic is that of float64, but what is not finite is NaN, as bar by bar. Whole numbers come
    as int, numbers as float. Only branches that are taken are evaluated.

    Args:
        program: The program.
        place: Place of a static node.
        values: The set, every parameter by name.

    Raises:
        WholeTooLarge: A whole number is beyond 2^53.
        ValueError: The node is not static.
    """
    return _Evaluation(program.nodes, values).value(place)


class _Evaluation:
    """Evaluates each node once, however often it is used."""

    def __init__(self, nodes: Sequence[Node], values: Mapping[str, Value]) -> None:
        self._nodes = nodes
        self._values = values
        self._known: dict[int, StaticValue] = {}

    def value(self, place: int) -> StaticValue:
        if place not in self._known:
            node = self._nodes[place]
            if not node.static:
                raise ValueError(f"{node.operation} differs from bar to bar")
            found = self._evaluate(node)
            self._known[place] = (
                float(found) if node.kind is Kind.NUMBER and isinstance(found, int) else found
            )
        return self._known[place]

    def _evaluate(self, node: Node) -> StaticValue:
        if node.operation == "constant":
            return cast("StaticValue", node.value)
        if node.operation == "parameter":
            return self._values[cast("str", node.value)]
        if node.operation == "choose":
            return self.value(chosen(node, self._values))
        if node.operation == "if_else":
            condition, one, other = node.inputs
            return self.value(one if self.value(condition) else other)
        return operate(node, [self.value(place) for place in node.inputs])


def chosen(node: Node, values: Mapping[str, Value]) -> int:
    """Return the place of the branch a choice takes."""
    name, words = cast("tuple[str, tuple[str, ...]]", node.value)
    return node.inputs[words.index(cast("str", values[name]))]


def needed(nodes: Sequence[Node], roots: Iterable[int]) -> list[int]:
    """Return the places of all nodes the roots depend on, themselves included, in order."""
    seen = set(roots)
    waiting = list(seen)
    while waiting:
        node = nodes[waiting.pop()]
        new = {*node.inputs, *node.statics} - seen
        seen |= new
        waiting.extend(new)
    return sorted(seen)


def static_parameters(program: Program, place: int) -> frozenset[str]:
    """Return the names of the parameters a node depends on, through all that stands below it."""
    return parameters_below(program.nodes, place)


def parameters_below(nodes: Sequence[Node], place: int) -> frozenset[str]:
    """Return what `static_parameters` does, of nodes that are no program yet."""
    names = set()
    for below in needed(nodes, (place,)):
        node = nodes[below]
        if node.operation == "parameter":
            names.add(cast("str", node.value))
        elif node.operation == "choose":
            names.add(cast("tuple[str, tuple[str, ...]]", node.value)[0])
    return frozenset(names)


def problem_with_static(static: Static, value: float) -> str | None:
    """Return what is wrong with a value of an indicator's argument, or None."""
    if math.isfinite(value) and static.minimum <= value <= static.maximum:
        return None
    bounds = f"at least {static.minimum:.15g} and at most {static.maximum:.15g}"
    return f"{static.name} must be {bounds}, not {value:.15g}"
