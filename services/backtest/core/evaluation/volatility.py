"""The yearly volatility of closes, which sizes may aim at."""

from __future__ import annotations

from functools import cache
from typing import Final

from services.backtest.core.expression.compiler import compile_program
from services.backtest.core.expression.program import Program
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies.definition import Definition

PERIOD: Final = "volatility_period_bars"
YEARLY: Final = "bars_per_year"


@cache
def volatility_program() -> Program:
    """Return the program whose "position_fraction" is the volatility.

    The sample deviation of per-bar returns of closes over `PERIOD` bars, times the square root of
    `YEARLY`.
    """
    returns = "close / shift(close, 1) - 1"
    sample = f"{PERIOD} / ({PERIOD} - 1)"
    definition = Definition(
        name="volatility",
        description="",
        parameters=(
            ParameterInfo(PERIOD, ParameterType.INT, "bars", "", 2.0, 100_000.0),
            ParameterInfo(YEARLY, ParameterType.DOUBLE, "", "", 1.0, 1e6),
        ),
        enter_long="true",
        position_fraction=f"stdev({returns}, {PERIOD}) * sqrt({sample} * {YEARLY})",
    )
    return compile_program(definition, INDICATORS)
