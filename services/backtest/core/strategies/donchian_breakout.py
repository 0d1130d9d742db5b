"""Breakout from the Donchian channel."""

from __future__ import annotations

from typing import Final

from services.backtest.core.strategies.definition import Definition, bars

DONCHIAN_BREAKOUT: Final = Definition(
    name="donchian_breakout",
    description=(
        "Enters long when the close is above the highest high of the entry period's bars before, "
        "and exits when it is below the lowest low of the exit period's bars before; short the "
        "other way round."
    ),
    parameters=(
        bars("entry_period", "Bars before, whose extreme a close must exceed to enter.", 20),
        bars("exit_period", "Bars before, whose opposite extreme a close must exceed to exit.", 10),
    ),
    enter_long="close > shift(highest(high, entry_period), 1)",
    exit_long="close < shift(lowest(low, exit_period), 1)",
    enter_short="close < shift(lowest(low, entry_period), 1)",
    exit_short="close > shift(highest(high, exit_period), 1)",
)
