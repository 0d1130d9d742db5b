"""The crossover of the MACD line and its signal."""

from __future__ import annotations

from typing import Final

from services.backtest.core.indicators.rows import RECURSIVE_LOOKBACK, Rows
from services.backtest.core.signals import BEARISH, BULLISH, Relation, Rule
from services.backtest.core.strategies.strategy import Strategy, Values, bars, whole


def _lookback(values: Values) -> int:
    longest = max(whole(values, "fast_period"), whole(values, "slow_period"))
    return RECURSIVE_LOOKBACK * (longest + whole(values, "signal_period")) + 1


def _rules(values: Values, rows: Rows) -> tuple[Rule]:
    line, signal = rows.macd(
        whole(values, "fast_period"),
        whole(values, "slow_period"),
        whole(values, "signal_period"),
        above=1,
    )
    return (Rule(Relation.CROSSES, line, signal, BULLISH, BEARISH),)


MACD: Final = Strategy(
    name="macd",
    description=(
        "Enters long when the MACD line, the fast less the slow exponential average of closes, "
        "crosses above its signal, an exponential average of the line, and exits when it crosses "
        "below; short the other way round."
    ),
    parameters=(
        bars("fast_period", "Bars of the fast average.", 12),
        bars("slow_period", "Bars of the slow average.", 26),
        bars("signal_period", "Bars of the signal.", 9),
    ),
    lookback=_lookback,
    rules=_rules,
)
"""A fast period above the slow one is taken as given; TA-Lib would exchange the two."""
