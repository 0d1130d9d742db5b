"""The crossover of two moving averages."""

from __future__ import annotations

from typing import Final

from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies.definition import Definition, bars

MA_CROSSOVER: Final = Definition(
    name="ma_crossover",
    description=(
        "Enters long when the fast moving average of closes crosses above the slow one and exits "
        "when it crosses below; short the other way round."
    ),
    parameters=(
        bars("fast_period", "Bars of the fast average.", 10),
        bars("slow_period", "Bars of the slow average.", 30),
        ParameterInfo(
            "average",
            ParameterType.CATEGORY,
            "",
            "Kind of both averages: simple (sma) or exponential (ema).",
            None,
            None,
            categories=("sma", "ema"),
            default="sma",
        ),
    ),
    terms=(
        (
            "fast_average",
            "choose(average, sma = sma(close, fast_period), ema = ema(close, fast_period))",
        ),
        (
            "slow_average",
            "choose(average, sma = sma(close, slow_period), ema = ema(close, slow_period))",
        ),
    ),
    enter_long="crosses_above(fast_average, slow_average)",
    exit_long="crosses_below(fast_average, slow_average)",
    enter_short="crosses_below(fast_average, slow_average)",
    exit_short="crosses_above(fast_average, slow_average)",
)
"""A fast period at or above the slow one is allowed: it is the same system turned round."""
