"""What a strategy is: parameters, the lookback they need, and rules over indicator rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from services.backtest.core.indicators.rows import Rows
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value
from services.backtest.core.signals import Rule

Values = Mapping[str, Value]
Problems = list[tuple[str, str]]

MOST_BARS = 100_000.0
"""Longest period a built-in strategy takes."""


def _no_problems(_values: Values) -> Problems:
    return []


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy: pure functions of parameter values.

    Attributes:
        name: Its bare name, for example "ma_crossover".
        description: When it enters and when it exits.
        parameters: Its parameters.
        lookback: Bars before the window that the rules need for these values.
        rules: The rules that raise flags, over rows of a frame. Without rules the strategy enters
            at the first decision and never exits.
        problems: Combinations of values that make no sense: parameter name, what is wrong.
    """

    name: str
    description: str
    parameters: tuple[ParameterInfo, ...]
    lookback: Callable[[Values], int]
    rules: Callable[[Values, Rows], Sequence[Rule]]
    problems: Callable[[Values], Problems] = _no_problems


def bars(name: str, description: str, default: int, minimum: float = 1.0) -> ParameterInfo:
    """Return a parameter that counts bars."""
    return ParameterInfo(
        name, ParameterType.INT, "bars", description, minimum, MOST_BARS, default=default
    )


def whole(values: Values, name: str) -> int:
    """Return the value of a parameter that takes whole numbers."""
    return cast("int", values[name])


def number(values: Values, name: str) -> float:
    """Return the value of a parameter that takes numbers."""
    return float(values[name])
