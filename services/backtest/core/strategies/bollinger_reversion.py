"""Reversion from the Bollinger bands to their middle."""

from __future__ import annotations

from typing import Final

from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies.definition import Definition, bars

BOLLINGER_REVERSION: Final = Definition(
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
    # The bands written out: the deviation, which costs most, is the same for every width.
    terms=(("middle", "sma(close, period)"), ("spread", "width * stdev(close, period)")),
    enter_long="crosses_below(close, middle - spread)",
    exit_long="crosses_above(close, middle)",
    enter_short="crosses_above(close, middle + spread)",
    exit_short="crosses_below(close, middle)",
)
