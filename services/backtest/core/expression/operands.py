"""Typed operations: what may be worked on by what, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.backtest.core.expression.nodes import Nodes
from services.backtest.core.expression.problems import Problems, quoted
from services.backtest.core.expression.program import Kind, Node
from services.backtest.core.expression.tokens import Token
from services.backtest.core.expression.words import ARITHMETIC, COMPARISONS

_NUMBERS: Final = (Kind.WHOLE, Kind.NUMBER)


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of a text that has been read.

    Attributes:
        position: Character it begins at, from 0.
        place: Its node; -1 for a word and where it is broken.
        kind: What it gives; None where it is broken, which has been told then.
        static: Whether it is the same at every bar.
        word: Name of the category parameter it is; empty for all else.
    """

    position: int
    place: int = -1
    kind: Kind | None = None
    static: bool = False
    word: str = ""


class Writer:
    """Writes nodes for one text and notes what does not fit together.

    Attributes:
        nodes: The nodes of the definition.
        field: Field the text stands in.
    """

    def __init__(self, nodes: Nodes, problems: Problems, field: str) -> None:
        self.nodes = nodes
        self.field = field
        self._problems = problems

    def broken(self, position: int, told: str) -> Operand:
        """Note a problem; what depends on the operand returned makes no more of them."""
        self._problems.note(self.field, told, position)
        return Operand(position)

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Return '; did you mean "ema"?' where a known name is near, else nothing."""
        return self._problems.hint(name, known)

    def leaf(
        self, operation: str, position: int, kind: Kind, *, static: bool, value: object
    ) -> Operand:
        """Return an operation without inputs."""
        node = Node(operation, (), (), kind, static, value, self.field, position)
        return Operand(position, self.nodes.add(node), kind, static)

    def node(
        self,
        operation: str,
        position: int,
        inputs: Sequence[Operand],
        kind: Kind,
        *,
        static: bool | None = None,
        statics: Sequence[Operand] = (),
        value: object = None,
    ) -> Operand:
        """Return an operation; static where all inputs are, unless told."""
        if static is None:
            static = all(operand.static for operand in inputs)
        places = tuple(operand.place for operand in inputs)
        periods = tuple(operand.place for operand in statics)
        node = Node(operation, places, periods, kind, static, value, self.field, position)
        return Operand(position, self.nodes.add(node), kind, static)

    def are_numbers(self, operands: Sequence[Operand], where: str) -> bool:
        """Tell whether all are numbers, and note those that are not."""
        return self._are(operands, _NUMBERS, f"{where} takes numbers")

    def are_conditions(self, operands: Sequence[Operand], where: str) -> bool:
        """Tell whether all are conditions, and note those that are not."""
        return self._are(operands, (Kind.CONDITION,), f"{where} takes conditions")

    def are_known(self, operands: Sequence[Operand], where: str) -> bool:
        """Tell whether all are numbers or conditions, and note those that are not."""
        return self._are(operands, (*_NUMBERS, Kind.CONDITION), f"{where} takes expressions")

    def common_kind(self, operands: Sequence[Operand], where: str) -> Kind | None:
        """Return the kind all of these numbers or conditions have; None, and noted, without one."""
        if not self.are_known(operands, where):
            return None
        kinds = {operand.kind for operand in operands}
        if kinds == {Kind.WHOLE}:
            # Whole numbers are static; a mixture that differs from bar to bar is just numbers.
            return Kind.WHOLE
        if kinds == {Kind.CONDITION}:
            return Kind.CONDITION
        if Kind.CONDITION not in kinds:
            return Kind.NUMBER
        first = operands[0].kind is Kind.CONDITION
        other = next(one for one in operands if (one.kind is Kind.CONDITION) is not first)
        expected = "a condition" if first else "a number"
        shown = "a number" if first else "a condition"
        self.broken(other.position, f"{where} expected {expected} as before, not {shown}")
        return None

    def binary(self, sign: Token, left: Operand, right: Operand) -> Operand:
        """Return what an operator between two numbers gives."""
        inputs = (left, right)
        if not self.are_numbers(inputs, quoted(sign.text)):
            return Operand(left.position)
        if sign.text in ARITHMETIC:
            return self.arithmetic(ARITHMETIC[sign.text], left.position, inputs)
        return self.node(COMPARISONS[sign.text], left.position, inputs, Kind.CONDITION)

    def connected(self, sign: Token, parts: Sequence[Operand]) -> Operand:
        """Return conditions connected by "and" or by "or".

        A long row of them becomes a flat tree: in a row nothing is nested.
        """
        if not self.are_conditions(parts, quoted(sign.text)):
            return Operand(parts[0].position)
        rest = list(parts)
        while len(rest) > 1:
            pairs = zip(rest[::2], rest[1::2], strict=False)
            odd = rest[-1:] if len(rest) % 2 else []
            rest = [
                self.node(sign.text, pair[0].position, pair, Kind.CONDITION) for pair in pairs
            ] + odd
        return rest[0]

    def arithmetic(self, operation: str, position: int, inputs: Sequence[Operand]) -> Operand:
        """Return arithmetic of numbers: whole for whole ones, except for quotients and roots."""
        whole = all(operand.kind is Kind.WHOLE for operand in inputs)
        stays = whole and operation not in {"divide", "square_root"}
        return self.node(operation, position, inputs, Kind.WHOLE if stays else Kind.NUMBER)

    def negated(self, position: int, operand: Operand) -> Operand:
        """Return a number with the other sign."""
        if not self.are_numbers((operand,), '"-"'):
            return Operand(position)
        return self.arithmetic("negate", position, (operand,))

    def denied(self, position: int, operand: Operand) -> Operand:
        """Return the opposite of a condition."""
        if not self.are_conditions((operand,), '"not"'):
            return Operand(position)
        return self.node("not", position, (operand,), Kind.CONDITION)

    def _are(self, operands: Sequence[Operand], kinds: Sequence[Kind], told: str) -> bool:
        # Not a generator: every operand is looked at, also after one that does not fit.
        fitting = [self._is(operand, kinds, told) for operand in operands]
        return all(fitting)

    def _is(self, operand: Operand, kinds: Sequence[Kind], told: str) -> bool:
        if operand.kind is None or operand.kind in kinds:
            return operand.kind is not None
        if operand.kind is Kind.WORD:
            name = quoted(operand.word)
            self.broken(
                operand.position,
                f"{told}, and {name} is a word: it stands only as first argument of choose",
            )
        else:
            self.broken(operand.position, f"{told}, not {operand.kind.value}")
        return False
