"""What kernels are given: bars, the time they span, the execution model as plain numbers."""

from __future__ import annotations

from typing import NamedTuple

from services.backtest.core.execution import Execution, TargetFill
from services.backtest.core.kernel import Bytes, Integers, Numbers


class Bars(NamedTuple):
    """The bars of a window: prices, and whether each follows the one before it without a gap."""

    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    follows: Bytes


class Span(NamedTuple):
    """The time a window covers.

    Attributes:
        midnights: For each UTC midnight from the first open to the last close, the bar whose close
            tells the equity then: the last one that closed at or before it; -1 before any did, when
            equity is the initial capital.
        days: Length of the window in days, from the first open to the last close.
        bars_per_year: Bars in a year of 365 days.
    """

    midnights: Integers
    days: float
    bars_per_year: float


class Terms(NamedTuple):
    """The execution model as plain numbers; 0 switches a distance off, ratios instead of bps."""

    capital: float
    fee: float
    target_fee: float
    slippage: float
    fraction: float
    stop: float
    target: float
    trail: float
    activation: float
    policy: float
    better_open: float
    close_at_end: float


def terms_of(execution: Execution) -> Terms:
    """Return the terms of an execution model."""
    target_fee_bps = execution.take_profit_fee_bps
    if target_fee_bps is None:
        target_fee_bps = execution.taker_fee_bps
    return Terms(
        capital=float(execution.initial_capital_quote),
        fee=execution.taker_fee_bps / 1e4,
        target_fee=target_fee_bps / 1e4,
        slippage=execution.slippage_bps / 1e4,
        fraction=float(execution.position_fraction_ratio),
        stop=float(execution.stop_loss_ratio or 0.0),
        target=float(execution.take_profit_ratio or 0.0),
        trail=float(execution.trailing_stop_ratio or 0.0),
        activation=float(execution.trailing_activation_ratio or 0.0),
        policy=float(execution.intrabar_policy),
        better_open=float(execution.target_fill is TargetFill.BETTER_OPEN),
        close_at_end=float(execution.close_at_end),
    )
