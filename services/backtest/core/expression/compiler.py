"""A definition, checked and turned into a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from services.backtest.core.expression.nodes import Nodes
from services.backtest.core.expression.operands import Operand, Writer
from services.backtest.core.expression.parser import Parser
from services.backtest.core.expression.problems import (
    DefinitionInvalid,
    ExpressionProblem,
    Problems,
    Refusal,
    TooMuch,
)
from services.backtest.core.expression.program import Program, Requirement
from services.backtest.core.expression.resolution import pruned
from services.backtest.core.expression.rules import check_rules
from services.backtest.core.expression.scope import Scope
from services.backtest.core.expression.statics import parameters_below
from services.backtest.core.expression.words import MOST_CHARACTERS
from services.backtest.core.indicators.operation import Operation

if TYPE_CHECKING:
    # At run time strategies import this package, to compile what they define.
    from services.backtest.core.strategies.definition import Definition

__all__ = ["DefinitionInvalid", "ExpressionProblem", "compile_program"]

SIGNALS: Final = ("enter_long", "exit_long", "enter_short", "exit_short")
DISTANCES: Final = ("stop_loss", "take_profit", "trailing_stop", "position_fraction")


def compile_program(definition: Definition, indicators: Mapping[str, Operation]) -> Program:
    """Return the program of a definition.

    Raises:
        DefinitionInvalid: The definition breaks rules of the contract; tells all of them.
    """
    problems = Problems()
    if not check_rules(definition, indicators, problems) or not _fits(definition, problems):
        problems.refuse()
    compilation = _Compilation(definition, indicators, problems)
    compilation.read()
    problems.refuse()
    return pruned(compilation.program())


def _texts(definition: Definition) -> Iterator[tuple[str, str]]:
    """Give every text with its field, in the order they are read."""
    for number, (_, text) in enumerate(definition.terms):
        yield f"terms[{number}].expression", text
    for field in (*SIGNALS, *DISTANCES):
        yield field, getattr(definition, field)
    for number, text in enumerate(definition.requirements):
        yield f"requirements[{number}]", text


def _fits(definition: Definition, problems: Problems) -> bool:
    """Tell whether the texts are short enough to be read, and note the one that is too long."""
    total = 0
    for field, text in _texts(definition):
        total += len(text)
        if total > MOST_CHARACTERS:
            told = f"brings all texts to {total:,} characters; at most {MOST_CHARACTERS:,} are read"
            problems.note(field, told)
            return False
    return True


class _Compilation:
    """Reads the texts of one definition, each once."""

    def __init__(
        self, definition: Definition, indicators: Mapping[str, Operation], problems: Problems
    ) -> None:
        self._definition = definition
        self._problems = problems
        self._nodes = Nodes()
        self._scope = Scope(
            {info.name: info for info in reversed(definition.parameters)},
            [name for name, _ in definition.terms],
            indicators,
        )
        self._places: dict[str, int] = {}

    def read(self) -> None:
        """Read all texts and note what is wrong with them."""
        names = {
            f"terms[{number}].expression": name
            for number, (name, _) in enumerate(self._definition.terms)
        }
        for field, text in _texts(self._definition):
            if self._problems.full:
                return
            is_listed = field.endswith("]") or field in names
            if not text:
                if is_listed:
                    self._problems.note(field, "is required")
                operand = Operand(0)
            else:
                try:
                    operand = self._read(field, text)
                except TooMuch as refusal:
                    self._problems.note(field, refusal.message, refusal.position)
                    return
            if field in names:
                self._scope.add_term(names[field], operand)
            else:
                self._places[field] = operand.place

    def _read(self, field: str, text: str) -> Operand:
        """Return what a text gives, of the kind its field takes; broken where that is noted."""
        writer = Writer(self._nodes, self._problems, field)
        try:
            operand = Parser(text, writer, self._scope).read()
        except TooMuch:
            raise
        except Refusal as refusal:
            return writer.broken(refusal.position, refusal.message)
        return operand if self._kind_check(field)(writer, operand, field) else Operand(0)

    def _kind_check(self, field: str) -> Callable[[Writer, Operand, str], bool]:
        if field in SIGNALS:
            return lambda writer, operand, where: writer.are_conditions((operand,), where)
        if field in DISTANCES:
            return lambda writer, operand, where: writer.are_numbers((operand,), where)
        if field.startswith("terms"):
            return lambda writer, operand, _: writer.are_known((operand,), "a term")
        return self._is_requirement

    def _is_requirement(self, writer: Writer, operand: Operand, _field: str) -> bool:
        if not writer.are_conditions((operand,), "a requirement"):
            return False
        if not operand.static:
            told = "a requirement is about parameters only, and this differs from bar to bar"
            writer.broken(operand.position, told)
        elif not parameters_below(self._nodes.nodes, operand.place):
            writer.broken(operand.position, "a requirement must name a parameter")
        else:
            return True
        return False

    def program(self) -> Program:
        """Return the program; all texts must have been sound."""
        given = {field: place for field, place in self._places.items() if place >= 0}
        return Program(
            nodes=tuple(self._nodes.nodes),
            signals={field: given[field] for field in SIGNALS if field in given},
            distances={field: given[field] for field in DISTANCES if field in given},
            requirements=tuple(
                Requirement(given[f"requirements[{number}]"], text)
                for number, text in enumerate(self._definition.requirements)
            ),
        )
