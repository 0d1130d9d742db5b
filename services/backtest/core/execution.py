"""The execution model: how decisions become fills and money. Values and their limits only."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from services.backtest.core.parameters import ParameterInfo, ParameterType, problem_with

_ABOVE_ZERO: Final = math.ulp(0.0)
_BELOW_ONE: Final = math.nextafter(1.0, 0.0)


class Direction(enum.IntEnum):
    """Sides a strategy may take; numbers of the contract."""

    LONG = 1
    SHORT = 2
    BOTH = 3


class IntrabarPolicy(enum.IntEnum):
    """What comes first when one bar touches stop and target; numbers of the contract."""

    STOP_FIRST = 1
    TARGET_FIRST = 2
    NEAREST_EXTREME_FIRST = 3


class TargetFill(enum.IntEnum):
    """Where a take-profit fills when the open is beyond it; numbers of the contract."""

    LIMIT = 1
    BETTER_OPEN = 2


@dataclass(frozen=True, slots=True)
class RiskTier:
    """Maintenance margin of positions up to a notional at entry.

    Attributes:
        notional_limit_quote: Largest notional it holds for; None: any.
        maintenance_margin_ratio: Maintenance margin as a fraction of notional.
        deduction_quote: Deducted from the maintenance margin.
    """

    notional_limit_quote: float | None
    maintenance_margin_ratio: float
    deduction_quote: float = 0.0


DEFAULT_TIERS: Final = (RiskTier(None, 0.005),)
"""Tiers of an account with leverage where none are given."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The fields of `ExecutionModel` and `InstrumentRules` with their defaults; None means off.

    `take_profit_fee_bps` None means the taker fee, `trailing_activation_ratio` None means 0. At
    most one of the sizes (`SIZES`) is given; without any, position_fraction_ratio is 1.
    """

    initial_capital_quote: float = 10_000.0
    taker_fee_bps: float = 5.5
    take_profit_fee_bps: float | None = None
    slippage_bps: float = 0.0
    position_fraction_ratio: float | None = None
    stop_loss_ratio: float | None = None
    take_profit_ratio: float | None = None
    trailing_stop_ratio: float | None = None
    trailing_activation_ratio: float | None = None
    intrabar_policy: IntrabarPolicy = IntrabarPolicy.STOP_FIRST
    target_fill: TargetFill = TargetFill.LIMIT
    close_at_end: bool = False
    leverage: float | None = None
    risk_tiers: tuple[RiskTier, ...] = ()
    liquidation_fee_bps: float = 0.0
    position_quote: float | None = None
    position_quantity_base: float | None = None
    risk_per_trade_ratio: float | None = None
    volatility_target_ratio: float | None = None
    volatility_period_bars: int = 30
    size_on_initial_capital: bool = False
    max_entry_count: int = 1
    slippage_ticks: float = 0.0
    tick_size_quote: float | None = None
    quantity_step_base: float | None = None
    minimum_quantity_base: float | None = None
    minimum_notional_quote: float | None = None


SIZES: Final = (
    "position_fraction_ratio",
    "position_quote",
    "position_quantity_base",
    "risk_per_trade_ratio",
    "volatility_target_ratio",
)
"""The ways to size a position, one of which is used."""


def _number(
    name: str, unit: str, description: str, bounds: tuple[float, float], default: float | None
) -> ParameterInfo:
    return ParameterInfo(
        name, ParameterType.DOUBLE, unit, description, bounds[0], bounds[1], default=default
    )


EXECUTION_PARAMETERS: Final = (
    _number(
        "position_fraction_ratio",
        "fraction",
        "Share of current equity put into a position, fee included.",
        (_ABOVE_ZERO, 1.0),
        1.0,
    ),
    _number(
        "stop_loss_ratio",
        "fraction",
        "Distance of the stop from the entry fill. Not given: no stop.",
        (_ABOVE_ZERO, _BELOW_ONE),
        None,
    ),
    _number(
        "take_profit_ratio",
        "fraction",
        "Distance of the take-profit from the entry fill. Not given: no target.",
        (_ABOVE_ZERO, 100.0),
        None,
    ),
    _number(
        "trailing_stop_ratio",
        "fraction",
        "Distance of the trailing stop from the most favourable price since the entry, as a "
        "fraction of that price. Not given: none.",
        (_ABOVE_ZERO, _BELOW_ONE),
        None,
    ),
    _number(
        "trailing_activation_ratio",
        "fraction",
        "Favourable move from the entry fill before the trailing stop starts; only with a trailing "
        "stop. Not given: 0, it starts at the fill.",
        (0.0, 100.0),
        None,
    ),
)
"""The parameters of the execution model that may differ between sets."""

_FIXED_NUMBERS: Final = (
    _number("initial_capital_quote", "quote", "Money at the start.", (_ABOVE_ZERO, 1e12), 10_000.0),
    _number("taker_fee_bps", "bps", "Fee on every fill.", (0.0, 1_000.0), 5.5),
    _number("take_profit_fee_bps", "bps", "Fee on take-profit fills.", (-100.0, 1_000.0), None),
    _number("slippage_bps", "bps", "Adverse shift of fills.", (0.0, 1_000.0), 0.0),
)


def problems_with(execution: Execution) -> list[tuple[str, str]]:
    """Return everything wrong with a model: the field's name, and what is wrong with it."""
    found = []
    for info in (*_FIXED_NUMBERS, *EXECUTION_PARAMETERS):
        value = getattr(execution, info.name)
        if value is None and info.default is None:
            continue
        problem = "must be given" if value is None else problem_with(info, value)
        if problem:
            found.append((info.name, problem))
    if execution.trailing_activation_ratio is not None and execution.trailing_stop_ratio is None:
        found.append(("trailing_activation_ratio", "has no meaning without trailing_stop_ratio"))
    return found
