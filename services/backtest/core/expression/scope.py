"""What names mean in a definition: columns, parameters, terms, functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.backtest.core.expression.calls import choose, plain_call
from services.backtest.core.expression.indicator_calls import indicator_call
from services.backtest.core.expression.operands import Operand, Writer
from services.backtest.core.expression.parser import Argument
from services.backtest.core.expression.problems import quoted
from services.backtest.core.expression.program import Kind
from services.backtest.core.expression.tokens import Token
from services.backtest.core.expression.words import (
    COLUMNS,
    FIRST_DECISION,
    FUNCTIONS,
    LANGUAGE_WORDS,
    TRUTHS,
)
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.parameters import ParameterInfo, ParameterType

_KINDS: Final = {
    ParameterType.INT: Kind.WHOLE,
    ParameterType.DOUBLE: Kind.NUMBER,
    ParameterType.CATEGORY: Kind.WORD,
}


class Scope:
    """The names of one definition; terms are added as they have been read."""

    def __init__(
        self,
        parameters: Mapping[str, ParameterInfo],
        term_names: Collection[str],
        indicators: Mapping[str, Operation],
    ) -> None:
        """Take everything that has a name; `term_names` are those of all terms."""
        self._parameters = parameters
        self._term_names = frozenset(term_names)
        self._indicators = indicators
        self._terms: dict[str, Operand] = {}

    def add_term(self, name: str, operand: Operand) -> None:
        """Let later texts use a term."""
        self._terms.setdefault(name, operand)

    def name(self, token: Token, writer: Writer) -> Operand:
        """Return what a name stands for."""
        name, position = token.text, token.position
        if name in LANGUAGE_WORDS and name not in FUNCTIONS:
            return _word(name, position, writer)
        if name in self._parameters:
            kind = _KINDS[self._parameters[name].type]
            if kind is Kind.WORD:
                return Operand(position, kind=kind, static=True, word=name)
            return writer.leaf("parameter", position, kind, static=True, value=name)
        if name in self._terms:
            return replace(self._terms[name], position=position)
        return writer.broken(position, self._unknown_name(name, writer))

    def call(self, token: Token, arguments: Sequence[Argument], writer: Writer) -> Operand:
        """Return what a function gives."""
        name = token.text
        if name == "choose":
            return choose(token, self._chooser(token, arguments, writer), arguments[1:], writer)
        if name in FUNCTIONS:
            return plain_call(token, arguments, writer)
        if name in self._indicators:
            return indicator_call(token, arguments, self._indicators[name], writer)
        functions = (*FUNCTIONS, *self._indicators)
        if name in self._parameters or name in self._term_names or name in LANGUAGE_WORDS:
            told = f"{quoted(name)} is no function"
        else:
            told = f"no function is called {quoted(name)}{writer.hint(name, functions)}"
        return writer.broken(token.position, told)

    def _chooser(
        self, token: Token, arguments: Sequence[Argument], writer: Writer
    ) -> ParameterInfo | None:
        """Return the parameter that decides a choice; None, and noted, where there is none."""
        first = arguments[0] if arguments else None
        if first is not None and first.keyword is None and first.operand.kind is Kind.WORD:
            return self._parameters[first.operand.word]
        known = first is None or first.label or first.keyword or first.operand.kind is not None
        if known:
            position = token.position if first is None else first.position
            told = f"expected {FUNCTIONS['choose']}; its parameter takes words"
            writer.broken(position, told)
        return None

    def _unknown_name(self, name: str, writer: Writer) -> str:
        if name in self._term_names:
            return f"the term {quoted(name)} comes later; a term is used after it only"
        if name in FUNCTIONS:
            return f"{quoted(name)} is a function: {FUNCTIONS[name]}"
        if name in self._indicators:
            return f"{quoted(name)} is a function: {self._indicators[name].signature}"
        known = (*self._parameters, *self._terms, *LANGUAGE_WORDS, *self._indicators)
        return f"nothing is called {quoted(name)}{writer.hint(name, sorted(set(known)))}"


def _word(name: str, position: int, writer: Writer) -> Operand:
    """Return what a word of the language stands for that is no function."""
    if name in COLUMNS:
        return writer.leaf("column", position, Kind.NUMBER, static=False, value=name)
    if name in TRUTHS:
        truth = name == "true"
        return writer.leaf("constant", position, Kind.CONDITION, static=True, value=truth)
    return writer.leaf(FIRST_DECISION, position, Kind.CONDITION, static=False, value=None)
