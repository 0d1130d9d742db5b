"""Buying once, for comparison."""

from __future__ import annotations

from typing import Final

from services.backtest.core.strategies.strategy import Strategy

BUY_AND_HOLD: Final = Strategy(
    name="buy_and_hold",
    description=(
        "Enters at the first decision and never exits; once stopped out it stays out. Long where "
        "longs are allowed, else short."
    ),
    parameters=(),
    lookback=lambda _values: 0,
    rules=lambda _values, _rows: (),
)
