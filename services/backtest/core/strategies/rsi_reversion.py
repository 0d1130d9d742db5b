"""Reversion of the relative strength index."""

from __future__ import annotations

from typing import Final

from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies.definition import Definition, bars


def _level(name: str, description: str, default: float) -> ParameterInfo:
    return ParameterInfo(
        name, ParameterType.DOUBLE, "index points", description, 0.0, 100.0, default=default
    )


RSI_REVERSION: Final = Definition(
    name="rsi_reversion",
    description=(
        "Enters long when the relative strength index crosses above the lower level and exits when "
        "it crosses below the upper one; short the other way round."
    ),
    parameters=(
        bars("period", "Bars of the relative strength index.", 14, minimum=2.0),
        _level("lower", "Level below which the market counts as oversold.", 30.0),
        _level("upper", "Level above which the market counts as overbought.", 70.0),
    ),
    terms=(("strength", "rsi(close, period)"),),
    enter_long="crosses_above(strength, lower)",
    exit_long="crosses_below(strength, upper)",
    enter_short="crosses_below(strength, upper)",
    exit_short="crosses_above(strength, lower)",
    requirements=("lower < upper",),
)
