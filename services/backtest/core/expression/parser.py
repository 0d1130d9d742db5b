"""Reads one text: precedence climbing, with nesting counted and no recursion beyond the count.

From loosest to tightest: or, and, not, comparisons (never chained), + and -, * and /, unary -.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from services.backtest.core.expression.operands import Operand, Writer
from services.backtest.core.expression.problems import Refusal, quoted
from services.backtest.core.expression.program import Kind
from services.backtest.core.expression.tokens import Token, TokenKind, tokenize
from services.backtest.core.expression.words import (
    COMPARISONS,
    CONNECTIVES,
    LARGEST_WHOLE,
    MOST_DEPTH,
)

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT = range(1, 7)
_LEVELS: Final = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(COMPARISONS, _COMPARISON),
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
}
_LONGEST_NUMBER: Final = 40
_TOO_DEEP: Final = f"nested deeper than {MOST_DEPTH}"
_EXPRESSION: Final = "an expression"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call.

    Attributes:
        keyword: The name before "=", where there is one.
        label: The label in quotes it is, where it is one.
        operand: The expression it is, else.
    """

    keyword: Token | None
    label: Token | None
    operand: Operand

    @property
    def position(self) -> int:
        """Character it begins at."""
        return self.keyword.position if self.keyword else self.operand.position


class Names(Protocol):
    """Gives names their meaning."""

    def name(self, token: Token, writer: Writer) -> Operand:
        """Return what a name stands for."""

    def call(self, token: Token, arguments: Sequence[Argument], writer: Writer) -> Operand:
        """Return what a function gives."""


class Parser:
    """Reads one text, once."""

    def __init__(self, text: str, writer: Writer, names: Names) -> None:
        self._tokens = tokenize(text)
        self._token = next(self._tokens)
        self._following = next(self._tokens, self._token)
        self._writer = writer
        self._names = names
        self._parentheses = 0
        self._operators = 0

    def read(self) -> Operand:
        """Return the whole text as an operand.

        Raises:
            Refusal: The text is no expression, or too deep.
        """
        found = self._climb(_OR)
        if self._token.kind is not TokenKind.END:
            raise self._unexpected("an operator or the end")
        return found

    def _advance(self) -> Token:
        """Return the token and go on to the next one; the last one stays."""
        token = self._token
        self._token = self._following
        self._following = next(self._tokens, self._token)
        return token

    def _is_sign(self, sign: str) -> bool:
        return self._token.kind is TokenKind.SIGN and self._token.text == sign

    def _unexpected(self, wanted: str) -> Refusal:
        token = self._token
        if token.kind is TokenKind.BAD:
            return Refusal(token.position, token.text)
        if token.kind is TokenKind.END:
            return Refusal(token.position, f"expected {wanted}, but the text ends here")
        advice = ""
        if token.text == "=":
            advice = '; "==" compares'
        elif token.text.lower() in CONNECTIVES and token.text not in CONNECTIVES:
            advice = f"; did you mean {quoted(token.text.lower())}?"
        return Refusal(token.position, f"expected {wanted}, not {quoted(token.text)}{advice}")

    def _climb(self, lowest: int) -> Operand:
        """Read operators of a level and tighter ones."""
        left = self._denials(lowest)
        while (level := self._level()) >= lowest:
            sign = self._token
            if level in {_OR, _AND}:
                parts = [left]
                while self._level() == level:
                    parts.append(self._right(level))
                left = self._writer.connected(sign, parts)
                continue
            left = self._writer.binary(sign, left, self._right(level))
            if level == _COMPARISON and self._level() == _COMPARISON:
                told = "comparisons are not chained; write a < b and b < c"
                raise Refusal(self._token.position, told)
        return left

    def _right(self, level: int) -> Operand:
        """Read an operator of a level and what stands right of it."""
        sign = self._advance()
        self._operators += 1
        if self._operators > MOST_DEPTH:
            raise Refusal(sign.position, _TOO_DEEP)
        right = self._climb(level + 1)
        self._operators -= 1
        return right

    def _level(self) -> int:
        """Return how tight the next operator binds; 0 where none follows."""
        token = self._token
        is_operator = token.kind in {TokenKind.SIGN, TokenKind.NAME}
        return _LEVELS.get(token.text, 0) if is_operator else 0

    def _denials(self, lowest: int) -> Operand:
        """Read any number of "not" and what they deny."""
        if not self._is_not():
            return self._negations()
        if lowest > _NOT:
            raise Refusal(self._token.position, '"not" needs parentheses here')
        positions = self._repeated(self._is_not)
        operand = self._climb(_COMPARISON)
        return self._each(positions, operand, self._writer.denied)

    def _repeated(self, is_there: Callable[[], bool]) -> list[int]:
        """Return where the same prefix stands one time after the other."""
        positions = []
        while is_there():
            positions.append(self._advance().position)
            if len(positions) > MOST_DEPTH:
                raise Refusal(positions[-1], _TOO_DEEP)
        return positions

    def _is_not(self) -> bool:
        return self._token.kind is TokenKind.NAME and self._token.text == "not"

    def _negations(self) -> Operand:
        """Read any number of "-" and what they negate."""
        positions = self._repeated(lambda: self._is_sign("-"))
        return self._each(positions, self._primary(), self._writer.negated)

    def _each(
        self, positions: list[int], operand: Operand, apply: Callable[[int, Operand], Operand]
    ) -> Operand:
        for position in reversed(positions):
            operand = apply(position, operand)
        return operand

    def _primary(self) -> Operand:
        token = self._token
        if token.kind is TokenKind.NUMBER:
            return self._number(self._advance())
        if token.kind is TokenKind.NAME and token.text not in CONNECTIVES:
            self._advance()
            if self._is_sign("("):
                return self._names.call(token, self._arguments(), self._writer)
            return self._names.name(token, self._writer)
        if token.kind is TokenKind.LABEL:
            raise Refusal(token.position, "a label in quotes stands only in on() and comes first")
        if not self._is_sign("("):
            raise self._unexpected(_EXPRESSION)
        with self._inside(self._advance()):
            inner = self._climb(_OR)
            if not self._is_sign(")"):
                raise self._unexpected('an operator or ")"')
            self._advance()
        return Operand(token.position, inner.place, inner.kind, inner.static, inner.word)

    @contextmanager
    def _inside(self, opening: Token) -> Iterator[None]:
        self._parentheses += 1
        if self._parentheses > MOST_DEPTH:
            raise Refusal(opening.position, _TOO_DEEP)
        yield
        self._parentheses -= 1

    def _number(self, token: Token) -> Operand:
        if len(token.text) > _LONGEST_NUMBER:
            raise Refusal(token.position, f"a number has at most {_LONGEST_NUMBER} characters")
        if token.text.isdigit():
            whole = int(token.text)
            if whole > LARGEST_WHOLE:
                told = "a whole number is at most 2^53; write a larger one with an exponent"
                raise Refusal(token.position, told)
            return self._writer.leaf(
                "constant", token.position, Kind.WHOLE, static=True, value=whole
            )
        number = float(token.text)
        written_zero = not token.text.lower().split("e")[0].strip("0.")
        if number == float("inf") or (number == 0.0 and not written_zero):
            raise Refusal(token.position, "expected a number that float64 can hold")
        return self._writer.leaf("constant", token.position, Kind.NUMBER, static=True, value=number)

    def _arguments(self) -> list[Argument]:
        """Read what stands in the parentheses of a call."""
        found: list[Argument] = []
        with self._inside(self._advance()):
            while not self._is_sign(")"):
                if found:
                    if not self._is_sign(","):
                        raise self._unexpected('an operator, "," or ")"')
                    self._advance()
                found.append(self._argument())
            self._advance()
        return found

    def _argument(self) -> Argument:
        keyword = None
        if self._token.kind is TokenKind.NAME and self._follows_equals():
            keyword = self._advance()
            self._advance()
        if self._token.kind is TokenKind.LABEL:
            label = self._advance()
            return Argument(keyword, label, Operand(label.position))
        return Argument(keyword, None, self._climb(_OR))

    def _follows_equals(self) -> bool:
        return self._following.kind is TokenKind.SIGN and self._following.text == "="
