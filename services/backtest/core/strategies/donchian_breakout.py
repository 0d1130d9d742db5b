"""Breakout from the Donchian channel."""

from __future__ import annotations

from typing import Final

from services.backtest.core.indicators.rows import Rows
from services.backtest.core.signals import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    Relation,
    Rule,
)
from services.backtest.core.strategies.strategy import Strategy, Values, bars, whole


def _rules(values: Values, rows: Rows) -> tuple[Rule, Rule, Rule, Rule]:
    close = rows.close()
    entry, leave = whole(values, "entry_period"), whole(values, "exit_period")
    return (
        Rule(Relation.EXCEEDS, close, rows.highest_before(entry), ENTER_LONG, 0),
        Rule(Relation.EXCEEDS, close, rows.lowest_before(leave), 0, EXIT_LONG),
        Rule(Relation.EXCEEDS, close, rows.lowest_before(entry), 0, ENTER_SHORT),
        Rule(Relation.EXCEEDS, close, rows.highest_before(leave), EXIT_SHORT, 0),
    )


DONCHIAN_BREAKOUT: Final = Strategy(
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
    lookback=lambda values: max(whole(values, "entry_period"), whole(values, "exit_period")),
    rules=_rules,
)
