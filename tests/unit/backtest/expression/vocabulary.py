"""A vocabulary of its own for tests of the language, and a way to write programs down."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from services.backtest.core.expression.compiler import (
    DefinitionInvalid,
    ExpressionProblem,
    compile_program,
)
from services.backtest.core.expression.program import Node, Program
from services.backtest.core.indicators.operation import Operation, Static
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies.definition import Definition

PERIOD: Final = Static("period", whole=True, minimum=1.0, maximum=100.0)


def _operation(name: str, series: tuple[str, ...], *statics: Static) -> Operation:
    return Operation(
        name=name,
        columns=(),
        series=series,
        statics=statics,
        lookback=lambda _: 0,
        undefined=lambda _: 0,
        compute=lambda columns, _: columns,
        family=name,
        output=0,
        description="For tests.",
        lookback_text="0",
    )


INDICATORS: Final = {
    one.name: one
    for one in (
        _operation("sma", ("series",), PERIOD),
        _operation("ema", ("series",), PERIOD),
        _operation("rsi", ("series",), PERIOD),
        _operation("atr", (), PERIOD),
        _operation("obv", ()),
        _operation("highest", ("series",), PERIOD),
        _operation("shift", ("series",), replace(PERIOD, name="bars", minimum=0.0)),
        _operation(
            "band",
            ("series",),
            replace(PERIOD, default=20.0),
            Static("width", whole=False, minimum=0.0, maximum=10.0, default=2.0),
        ),
    )
}

FAST: Final = ParameterInfo("fast", ParameterType.INT, "bars", "", 1.0, 200.0, default=5)
SLOW: Final = ParameterInfo("slow", ParameterType.INT, "bars", "", 1.0, 200.0, default=9)
LEVEL: Final = ParameterInfo("level", ParameterType.DOUBLE, "", "", -10.0, 10.0, default=0.5)
KIND: Final = ParameterInfo("kind", ParameterType.CATEGORY, "", "", None, None, ("plain", "quick"))

DEFINITION: Final = Definition(parameters=(FAST, SLOW, LEVEL, KIND), enter_long="close > open")
"""A sound definition with parameters of every type."""


def program_of(definition: Definition) -> Program:
    """Compile a definition with the vocabulary of the tests."""
    return compile_program(definition, INDICATORS)


def program(text: str, *terms: tuple[str, str]) -> Program:
    """Compile a condition."""
    return program_of(replace(DEFINITION, terms=terms, enter_long=text))


def number_program(text: str, *terms: tuple[str, str]) -> tuple[Program, int]:
    """Compile a number, and return its place as well."""
    compiled = program_of(replace(DEFINITION, terms=terms, stop_loss=text))
    return compiled, compiled.distances["stop_loss"]


def problems_of(definition: Definition) -> tuple[ExpressionProblem, ...]:
    """Return what is wrong with a definition; nothing where it is sound."""
    try:
        program_of(definition)
    except DefinitionInvalid as invalid:
        return invalid.problems
    return ()


def shown(compiled: Program, place: int) -> str:
    """Write a node down with everything below it: "sma(close; 5)"."""
    node = compiled.nodes[place]
    if node.operation in {"constant", "parameter", "column"}:
        return str(node.value)
    inputs = [shown(compiled, one) for one in node.inputs]
    statics = [shown(compiled, one) for one in node.statics]
    if node.operation == "choose":
        name, words = cast("tuple[str, tuple[str, ...]]", node.value)
        inputs = [name, *(f"{word} = {one}" for word, one in zip(words, inputs, strict=True))]
    if node.operation == "on":
        inputs = [str(node.value), *inputs]
    if not (inputs or statics):
        return node.operation
    told = ", ".join(inputs) + (f"; {', '.join(statics)}" if statics else "")
    return f"{node.operation}({told})"


def root(compiled: Program) -> Node:
    """Return the node of the condition to enter long."""
    return compiled.nodes[compiled.signals["enter_long"]]
