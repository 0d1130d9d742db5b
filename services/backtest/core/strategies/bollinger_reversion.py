"""Reversion from the Bollinger bands to their middle."""

from __future__ import annotations

from typing import Final

from services.backtest.core.indicators.rows import Rows
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.signals import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    Relation,
    Rule,
)
from services.backtest.core.strategies.strategy import Strategy, Values, bars, number, whole


def _rules(values: Values, rows: Rows) -> tuple[Rule, Rule, Rule]:
    close = rows.close()
    lower, middle, upper = rows.bollinger(whole(values, "period"), number(values, "width"))
    return (
        Rule(Relation.CROSSES, close, lower, 0, ENTER_LONG),
        Rule(Relation.CROSSES, close, middle, EXIT_LONG, EXIT_SHORT),
        Rule(Relation.CROSSES, close, upper, ENTER_SHORT, 0),
    )


BOLLINGER_REVERSION: Final = Strategy(
    name="bollinger_reversion",
    description=(
        "Enters long when the close crosses below the lower Bollinger band and exits when it "
        "crosses above the middle; enters short when it crosses above the upper band and exits "
        "when it crosses below the middle."
    ),
    parameters=(
        bars("period", "Bars of the middle, a simple average, and of the deviation.", 20, 2.0),
        ParameterInfo(
            "width",
            ParameterType.DOUBLE,
            "deviations",
            "Distance of the bands from the middle, in population deviations.",
            0.01,
            100.0,
            default=2.0,
        ),
    ),
    lookback=lambda values: whole(values, "period"),
    rules=_rules,
)
