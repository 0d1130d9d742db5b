"""Which strategy a command means, by name or by file, and its parameters."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from assay.backtest.v1.backtest_service_pb2 import ListStrategiesRequest, ListStrategiesResponse
from assay.backtest.v1.strategy_pb2 import (
    Direction,
    ParameterAssignment,
    StrategyChoice,
    StrategyDefinition,
)

from cli import parameters
from cli.connection import Services
from cli.failures import BadUsageError
from cli.message_file import read_file
from cli.paging import read_pages


class DirectionWord(enum.Enum):
    """Sides allowed."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"


DirectionOption = Annotated[DirectionWord, typer.Option(help="Sides the strategy may take.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be repeated."),
]


def choice_of(
    name: str | None, definition: Path | None, direction: DirectionWord
) -> StrategyChoice:
    """Return the strategy that a name or a file means.

    Raises:
        BadUsageError: not exactly one of them is given, or the file is no StrategyDefinition.
    """
    if (name is None) == (definition is None):
        raise BadUsageError("say what to run: one of --strategy and --definition")
    side = Direction.Value(f"DIRECTION_{direction.name}")
    if definition is None:
        return StrategyChoice(name=name or "", direction=side)
    written = read_file(definition, StrategyDefinition(), "strategy definition")
    return StrategyChoice(definition=written, direction=side)


async def read_settings(
    services: Services, choice: StrategyChoice, words: Sequence[tuple[str, str]]
) -> Iterable[ParameterAssignment]:
    """Return parameters given by names and values in words, typed as the strategy wants them."""
    if not words:
        return ()
    known = await known_strategies(services)
    types = parameters.types_of(known, choice.name, choice.definition.parameters)
    return [parameters.assignment(name, text, types) for name, text in words]


async def known_strategies(services: Services) -> ListStrategiesResponse:
    """Return all strategies that the backtest service knows."""
    return await read_pages(
        services.backtest.ListStrategies, ListStrategiesRequest(), "strategies", 0
    )
