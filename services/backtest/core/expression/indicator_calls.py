"""Calls of indicators: arguments in order or by name, periods that never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from services.backtest.core.expression.operands import Operand, Writer
from services.backtest.core.expression.parser import Argument
from services.backtest.core.expression.problems import quoted
from services.backtest.core.expression.program import Kind
from services.backtest.core.expression.statics import problem_with_static
from services.backtest.core.expression.tokens import Token
from services.backtest.core.indicators.operation import Operation, Static


def indicator_call(
    token: Token, arguments: Sequence[Argument], operation: Operation, writer: Writer
) -> Operand:
    """Return what an indicator gives: a number per bar."""
    given = _by_name(token, arguments, operation, writer)
    if given is None:
        return Operand(token.position)
    series = [given[name] for name in operation.series]
    sound = writer.are_numbers(series, f"{operation.name}()")
    statics = [_static(token, one, given.get(one.name), writer) for one in operation.statics]
    if not sound or any(one.kind is None for one in statics):
        return Operand(token.position)
    return writer.node(
        operation.name, token.position, series, Kind.NUMBER, static=False, statics=statics
    )


def _by_name(
    token: Token, arguments: Sequence[Argument], operation: Operation, writer: Writer
) -> dict[str, Operand] | None:
    """Return the arguments by name; None, and noted, where they do not fit."""
    names = (*operation.series, *(one.name for one in operation.statics))
    wanted = f"expected {operation.signature}"
    given: dict[str, Operand] = {}
    named = False
    for number, argument in enumerate(arguments):
        keyword = argument.keyword
        named = named or keyword is not None
        if keyword is not None:
            name = keyword.text
        elif named:
            writer.broken(argument.position, f"{wanted}; arguments by name come last")
            return None
        elif number >= len(names):
            writer.broken(argument.position, f"{wanted}, which has no more arguments")
            return None
        else:
            name = names[number]
        told = _problem_with(name, argument, names, given, writer)
        if told:
            writer.broken(argument.position, f"{wanted}; {told}")
            return None
        given[name] = argument.operand
    required = (*operation.series, *(one.name for one in operation.statics if one.default is None))
    missing = [name for name in required if name not in given]
    if missing:
        writer.broken(token.position, f"{wanted}; {missing[0]} is missing")
        return None
    return given


def _problem_with(
    name: str, argument: Argument, names: Sequence[str], given: dict[str, Operand], writer: Writer
) -> str | None:
    if name not in names:
        return f"no argument is called {quoted(name)}{writer.hint(name, names)}"
    if name in given:
        return f"{name} is given twice"
    return "a label in quotes stands only in on()" if argument.label else None


def _static(token: Token, static: Static, operand: Operand | None, writer: Writer) -> Operand:
    """Return an argument that is the same at every bar, its default where none is given."""
    if operand is None:
        default = cast("float", static.default)
        kind = Kind.WHOLE if static.whole else Kind.NUMBER
        value = int(default) if static.whole else float(default)
        return writer.leaf("constant", token.position, kind, static=True, value=value)
    if not writer.are_numbers((operand,), static.name):
        return Operand(token.position)
    if not operand.static:
        told = f"{static.name} must be the same at every bar: of numbers and parameters only"
        return writer.broken(operand.position, told)
    if static.whole and operand.kind is not Kind.WHOLE:
        told = f"{static.name} must be a whole number: of whole numbers, + - * min and max only"
        return writer.broken(operand.position, told)
    fixed = writer.nodes.facts[operand.place].fixed
    problem = None if fixed is None else problem_with_static(static, cast("float", fixed))
    return writer.broken(operand.position, problem) if problem else operand
