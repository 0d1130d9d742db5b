"""Execution models with multiplied costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from services.backtest.core.execution import Execution, problems_with

COSTS: Final = (
    "taker_fee_bps",
    "take_profit_fee_bps",
    "liquidation_fee_bps",
    "slippage_bps",
    "slippage_ticks",
)
"""Fields that are multiplied. Funding is a payment between traders, not a cost of trading."""


def with_costs(execution: Execution, factor: float, *, stop_defined: bool) -> Execution | None:
    """Return a sound model with its costs multiplied; None where one is beyond its limits then.

    `stop_defined` says that the strategy has a stop of its own.
    """
    changed: dict[str, Any] = {
        name: value * factor for name in COSTS if (value := getattr(execution, name)) is not None
    }
    scaled = replace(execution, **changed)
    return None if problems_with(scaled, stop_defined=stop_defined) else scaled
