"""Strategies as data: definitions between message and plain value, and compiled."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from assay.backtest.v1 import strategy_pb2

from services.backtest.convert.values import VALUE_KINDS, value_message
from services.backtest.core.execution import EXECUTION_PARAMETERS
from services.backtest.core.expression.compiler import DefinitionInvalid
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies import Definition, Strategy
from services.common.errors import Violation

_TEXTS: Final = (
    "enter_long",
    "exit_long",
    "enter_short",
    "exit_short",
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "position_fraction",
)
"""The fields that hold one expression each, in the contract's order."""

_MOST: Final = {"parameters": 32, "terms": 64, "requirements": 16}
_MOST_CATEGORIES: Final = 100

_TYPES: Final = frozenset(int(kind) for kind in ParameterType)

_KEPT: Final = 128
"""Compiled definitions kept: a study sends its definition with every batch."""

_EXECUTION_NAMES: Final = frozenset(info.name for info in EXECUTION_PARAMETERS)


def read_definition(
    message: strategy_pb2.StrategyDefinition, field: str, found: list[Violation]
) -> Strategy | None:
    """Return the strategy a definition describes; None, with everything wrong noted in `found`.

    Equal definitions give the same strategy object, so that what is worked out of it once stays.
    """
    problems = list(_too_many(message))
    if not problems:
        try:
            return _compiled(message.SerializeToString(deterministic=True))
        except _Refused as refused:
            problems = refused.problems
    found += [Violation(f"{field}.{place}", told) for place, told in problems]
    return None


class _Refused(Exception):  # noqa: N818 - carries what is wrong
    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__()


@functools.lru_cache(maxsize=_KEPT)
def _compiled(serialized: bytes) -> Strategy:
    message = strategy_pb2.StrategyDefinition.FromString(serialized)
    untyped = list(_without_type(message))
    if untyped:
        # Without types nothing can be said about the expressions over them.
        raise _Refused(untyped)
    problems = dict(_misfits(message))
    try:
        strategy = Strategy.compiled(_definition(message), INDICATORS)
    except DefinitionInvalid as invalid:
        told = [(one.field, one.message) for one in invalid.problems]
        more = [(place, text) for place, text in told if place not in problems]
        raise _Refused([*problems.items(), *more]) from invalid
    if problems:
        raise _Refused(list(problems.items()))
    return strategy


def _too_many(message: strategy_pb2.StrategyDefinition) -> Iterator[tuple[str, str]]:
    """Yield which lists are too long to be gone through."""
    for name, most in _MOST.items():
        count = len(getattr(message, name))
        if count > most:
            yield name, f"holds {count:,}; at most {most} are allowed"
    for number, parameter in enumerate(message.parameters[: _MOST["parameters"]]):
        count = len(parameter.categories)
        if count > _MOST_CATEGORIES:
            told = f"holds {count:,}; at most {_MOST_CATEGORIES} are allowed"
            yield f"parameters[{number}].categories", told


def _without_type(message: strategy_pb2.StrategyDefinition) -> Iterator[tuple[str, str]]:
    for number, parameter in enumerate(message.parameters):
        if parameter.type not in _TYPES:
            told = (
                f"{parameter.type} is not one of the choices" if parameter.type else "is required"
            )
            yield f"parameters[{number}].type", told


def _misfits(message: strategy_pb2.StrategyDefinition) -> Iterator[tuple[str, str]]:
    """Yield what the core, which knows no messages and no other parameters, does not see."""
    for number, parameter in enumerate(message.parameters):
        place = f"parameters[{number}]"
        if parameter.name in _EXECUTION_NAMES:
            yield f"{place}.name", f'"{parameter.name}" is a parameter of the execution model'
        wanted = VALUE_KINDS[ParameterType(parameter.type)]
        if parameter.HasField("default_value") and not parameter.default_value.HasField(wanted):
            yield f"{place}.default_value", f"must be given by {wanted}"


def _definition(message: strategy_pb2.StrategyDefinition) -> Definition:
    return Definition(
        description=message.description,
        parameters=tuple(map(_info, message.parameters)),
        terms=tuple((term.name, term.expression) for term in message.terms),
        requirements=tuple(message.requirements),
        **{name: getattr(message, name) for name in _TEXTS},
    )


def _info(message: strategy_pb2.ParameterDefinition) -> ParameterInfo:
    kind = ParameterType(message.type)
    fits = message.default_value.HasField(VALUE_KINDS[kind])
    return ParameterInfo(
        name=message.name,
        type=kind,
        unit=message.unit,
        description=message.description,
        minimum=message.minimum if message.HasField("minimum") else None,
        maximum=message.maximum if message.HasField("maximum") else None,
        categories=tuple(message.categories),
        default=getattr(message.default_value, VALUE_KINDS[kind]) if fits else None,
    )


def definition_message(definition: Definition) -> strategy_pb2.StrategyDefinition:
    """Return a definition as a message that describes the same strategy."""
    return strategy_pb2.StrategyDefinition(
        description=definition.description,
        parameters=map(_parameter_message, definition.parameters),
        terms=[
            strategy_pb2.NamedExpression(name=name, expression=text)
            for name, text in definition.terms
        ],
        requirements=definition.requirements,
        **{name: getattr(definition, name) for name in _TEXTS},
    )


def _parameter_message(info: ParameterInfo) -> strategy_pb2.ParameterDefinition:
    return strategy_pb2.ParameterDefinition(
        name=info.name,
        type=strategy_pb2.ParameterInfo.Type.ValueType(info.type),
        minimum=info.minimum,
        maximum=info.maximum,
        categories=info.categories,
        default_value=None if info.default is None else value_message(info.default),
        unit=info.unit,
        description=info.description,
    )
