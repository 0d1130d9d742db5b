"""The crossover of two moving averages."""

from __future__ import annotations

from typing import Final

from services.backtest.core.indicators.rows import RECURSIVE_LOOKBACK, Rows
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.signals import BEARISH, BULLISH, Relation, Rule
from services.backtest.core.strategies.strategy import Strategy, Values, bars, whole


def _lookback(values: Values) -> int:
    longest = max(whole(values, "fast_period"), whole(values, "slow_period"))
    own = RECURSIVE_LOOKBACK * longest if values["average"] == "ema" else longest - 1
    return own + 1


def _rules(values: Values, rows: Rows) -> tuple[Rule]:
    fast, slow = whole(values, "fast_period"), whole(values, "slow_period")
    if values["average"] == "ema":
        left, right = rows.ema(fast, above=1), rows.ema(slow, above=1)
    else:
        left, right = rows.sma(fast), rows.sma(slow)
    return (Rule(Relation.CROSSES, left, right, BULLISH, BEARISH),)


MA_CROSSOVER: Final = Strategy(
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
    lookback=_lookback,
    rules=_rules,
)
"""A fast period at or above the slow one is allowed: it is the same system turned round."""
