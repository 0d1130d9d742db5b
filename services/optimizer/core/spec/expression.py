"""The language of constraints and of composite objectives. Pure syntax.

    comparison := sum ("<" | "<=" | ">" | ">=" | "==") sum
    sum        := product (("+" | "-") product)*
    product    := factor (("*" | "/") factor)*
    factor     := "-" factor | number | name | "(" sum ")"

Nothing else exists in it: no calls, no attributes, no powers. Text is read by this module alone and
never handed to Python. Arithmetic is exact over decimals as they are written, so 0.1 + 0.2 == 0.3.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from services.optimizer.core.spec.space import Exact

LONGEST_TEXT: Final = 200
DEEPEST_NESTING: Final = 32

Node = Callable[[Mapping[str, Exact]], Exact]
"""A compiled expression: its value for given names. Raises ZeroDivisionError and KeyError."""

COMPARISONS: Final[Mapping[str, Callable[[Exact, Exact], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}

_TOKEN: Final = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2}(?![0-9]))?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<compare><=|>=|==|<|>)"
    r"|(?P<sign>[-+*/()])"
)


class ExpressionError(ValueError):
    """A text that is not in the language; the message names the character, counted from 1."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A parsed constraint.

    Attributes:
        text: The text as written.
        left: The expression left of the comparison.
        comparison: "<", "<=", ">", ">=" or "==".
        right: The expression right of it.
        names: Every name in it, with the place of its first letter, from 1.
    """

    text: str
    left: Node
    comparison: str
    right: Node
    names: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Expression:
    """An arithmetic expression by its text, which may not be in the language.

    Attributes:
        text: The text as written.
    """

    text: str

    @property
    def names(self) -> Mapping[str, int]:
        """Every name in it, with the place of its first letter, from 1; raises ExpressionError."""
        return _parsed_sum(self.text)[1]

    def value(self, values: Mapping[str, Exact]) -> Exact:
        """Return its exact value.

        Raises:
            ExpressionError: it is too long, too deep or not in the language.
            ZeroDivisionError: a divisor is zero.
            KeyError: a name has no value.
        """
        return _parsed_sum(self.text)[0](values)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def parse_comparison(text: str) -> Comparison:
    """Read one constraint.

    Raises:
        ExpressionError: it is too long, too deep or not in the language.
    """
    return _Parser(text).comparison()


@functools.lru_cache(maxsize=256)
def _parsed_sum(text: str) -> tuple[Node, Mapping[str, int]]:
    return _Parser(text).expression()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"character {position + 1}: {text[position]!r} is not allowed")
        found.append(_Token(str(match.lastgroup), match.group(), position + 1))
        position = match.end()
    found.append(_Token("end", "", len(text) + 1))
    return found


class _Parser:
    """Recursive descent over the grammar above."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_TEXT:
            raise ExpressionError(f"has {len(text)} characters, at most {LONGEST_TEXT} are allowed")
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._names: dict[str, int] = {}

    def comparison(self) -> Comparison:
        left = self._sum(0)
        token = self._take()
        if token.kind != "compare":
            raise _unexpected(token, "one of < <= > >= ==")
        right = self._sum(0)
        self._end()
        return Comparison(self._text, left, token.text, right, dict(self._names))

    def expression(self) -> tuple[Node, Mapping[str, int]]:
        node = self._sum(0)
        self._end()
        return node, dict(self._names)

    def _end(self) -> None:
        end = self._take()
        if end.kind != "end":
            raise _unexpected(end, "the end")

    def _sum(self, depth: int) -> Node:
        node = self._product(depth)
        while self._peek().text in {"+", "-"}:
            combine = operator.add if self._take().text == "+" else operator.sub
            node = _binary(combine, node, self._product(depth))
        return node

    def _product(self, depth: int) -> Node:
        node = self._factor(depth)
        while self._peek().text in {"*", "/"}:
            combine = operator.mul if self._take().text == "*" else _divide
            node = _binary(combine, node, self._factor(depth))
        return node

    def _factor(self, depth: int) -> Node:
        token = self._take()
        if depth > DEEPEST_NESTING:
            raise ExpressionError(f"character {token.place}: nested deeper than {DEEPEST_NESTING}")
        if token.text == "-":
            return _negated(self._factor(depth + 1))
        if token.text == "(":
            node = self._sum(depth + 1)
            closing = self._take()
            if closing.text != ")":
                raise _unexpected(closing, "')'")
            return node
        if token.kind == "number":
            return _constant(Fraction(token.text))
        if token.kind == "name":
            self._names.setdefault(token.text, token.place)
            return operator.itemgetter(token.text)
        raise _unexpected(token, "a number, a name or '('")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token


def _unexpected(token: _Token, wanted: str) -> ExpressionError:
    found = "the text ends" if token.kind == "end" else f"{token.text!r}"
    return ExpressionError(f"character {token.place}: expected {wanted}, but found {found}")


def _binary(combine: Callable[[Exact, Exact], Exact], left: Node, right: Node) -> Node:
    return lambda values: combine(left(values), right(values))


def _negated(node: Node) -> Node:
    return lambda values: -node(values)


def _constant(number: Fraction) -> Node:
    value: Exact = number.numerator if number.denominator == 1 else number
    return lambda _values: value


def _divide(left: Exact, right: Exact) -> Exact:
    return Fraction(left) / right
