"""Buying once, for comparison."""

from __future__ import annotations

from typing import Final

from services.backtest.core.strategies.definition import Definition

BUY_AND_HOLD: Final = Definition(
    name="buy_and_hold",
    description=(
        "Enters at the first decision and never exits; once stopped out it stays out. Long where "
        "longs are allowed, else short."
    ),
    enter_long="first_decision",
    enter_short="first_decision",
)
