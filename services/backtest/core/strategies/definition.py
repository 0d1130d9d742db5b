"""A strategy written down: the texts of a StrategyDefinition as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.backtest.core.parameters import ParameterInfo, ParameterType

MOST_BARS: Final = 100_000.0
"""Longest period a built-in strategy takes."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A strategy as data; what each text means is told by StrategyDefinition in the contract.

    Attributes:
        name: Bare name of a built-in, for example "ma_crossover"; empty for a caller's own.
        description: What it does, for people.
        parameters: Its parameters.
        terms: Names of expressions and the expressions; each may use those before it.
        enter_long: Condition to be long; this and all below: empty where not given.
        exit_long: Condition to end a long position.
        enter_short: Condition to be short.
        exit_short: Condition to end a short position.
        stop_loss: Distance of the stop as a fraction of the entry fill.
        take_profit: Distance of the take-profit, likewise.
        trailing_stop: Distance of the trailing stop from the most favourable price, likewise.
        position_fraction: Share of equity put into a position.
        requirements: Conditions on parameters alone that every set must meet.
    """

    name: str = ""
    description: str = ""
    parameters: tuple[ParameterInfo, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    enter_long: str = ""
    exit_long: str = ""
    enter_short: str = ""
    exit_short: str = ""
    stop_loss: str = ""
    take_profit: str = ""
    trailing_stop: str = ""
    position_fraction: str = ""
    requirements: tuple[str, ...] = ()


def bars(name: str, description: str, default: int, minimum: float = 1.0) -> ParameterInfo:
    """Return a parameter that counts bars."""
    return ParameterInfo(
        name, ParameterType.INT, "bars", description, minimum, MOST_BARS, default=default
    )
