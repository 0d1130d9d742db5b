"""The crossover of the MACD line and its signal."""

from __future__ import annotations

from typing import Final

from services.backtest.core.strategies.definition import Definition, bars

MACD: Final = Definition(
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
    terms=(
        ("line", "macd_line(close, fast_period, slow_period, signal_period)"),
        ("trigger", "macd_signal(close, fast_period, slow_period, signal_period)"),
    ),
    enter_long="crosses_above(line, trigger)",
    exit_long="crosses_below(line, trigger)",
    enter_short="crosses_below(line, trigger)",
    exit_short="crosses_above(line, trigger)",
)
"""A fast period above the slow one is taken as given; TA-Lib would exchange the two."""
