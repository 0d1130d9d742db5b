"""Reversion of the relative strength index."""

from __future__ import annotations

from typing import Final

from services.backtest.core.indicators.rows import RECURSIVE_LOOKBACK, Rows
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.signals import (
    BEARISH,
    BULLISH,
    Relation,
    Rule,
)
from services.backtest.core.strategies.strategy import (
    Problems,
    Strategy,
    Values,
    bars,
    number,
    whole,
)


def _lookback(values: Values) -> int:
    return RECURSIVE_LOOKBACK * whole(values, "period") + 1


def _rules(values: Values, rows: Rows) -> tuple[Rule, Rule]:
    strength = rows.rsi(whole(values, "period"), above=1)
    lower, upper = rows.constant(number(values, "lower")), rows.constant(number(values, "upper"))
    return (
        Rule(Relation.CROSSES, strength, lower, BULLISH, 0),
        Rule(Relation.CROSSES, strength, upper, 0, BEARISH),
    )


def _problems(values: Values) -> Problems:
    lower, upper = number(values, "lower"), number(values, "upper")
    if lower < upper:
        return []
    return [("lower", f"must be below upper, but {lower:g} is not below {upper:g}")]


def _level(name: str, description: str, default: float) -> ParameterInfo:
    return ParameterInfo(
        name, ParameterType.DOUBLE, "index points", description, 0.0, 100.0, default=default
    )


RSI_REVERSION: Final = Strategy(
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
    lookback=_lookback,
    rules=_rules,
    problems=_problems,
)
