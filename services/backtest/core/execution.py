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
        "Share of current equity put into a position, fee included. Not given, nor another size: "
        "1.",
        (_ABOVE_ZERO, 1.0),
        None,
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
    _number(
        "leverage",
        "",
        "Notional over margin of a position. Not given: sizes as with 1, and no liquidation.",
        (1.0, 200.0),
        None,
    ),
    _number(
        "position_quote",
        "quote",
        "Notional of a position, fee not included, instead of a share of equity.",
        (_ABOVE_ZERO, 1e12),
        None,
    ),
    _number(
        "position_quantity_base",
        "base",
        "Quantity of a position, instead of a share of equity.",
        (_ABOVE_ZERO, 1e12),
        None,
    ),
    _number(
        "risk_per_trade_ratio",
        "fraction",
        "Share of equity lost when the stop is reached at its own price, costs not included; needs "
        "a stop.",
        (_ABOVE_ZERO, 1.0),
        None,
    ),
    _number(
        "volatility_target_ratio",
        "fraction",
        "Yearly volatility the position aims at.",
        (_ABOVE_ZERO, 100.0),
        None,
    ),
)
"""The parameters of the execution model that may differ between sets."""

_FIXED_NUMBERS: Final = (
    _number("initial_capital_quote", "quote", "Money at the start.", (_ABOVE_ZERO, 1e12), 10_000.0),
    _number("taker_fee_bps", "bps", "Fee on every fill.", (0.0, 1_000.0), 5.5),
    _number("take_profit_fee_bps", "bps", "Fee on take-profit fills.", (-100.0, 1_000.0), None),
    _number("slippage_bps", "bps", "Adverse shift of fills.", (0.0, 1_000.0), 0.0),
    _number("liquidation_fee_bps", "bps", "Fee on liquidations.", (0.0, 1_000.0), 0.0),
    _number("slippage_ticks", "ticks", "Adverse shift of fills beside it.", (0.0, 10_000.0), 0.0),
    _number("tick_size_quote", "quote", "Price step.", (_ABOVE_ZERO, 1e12), None),
    _number("quantity_step_base", "base", "Quantity step.", (_ABOVE_ZERO, 1e12), None),
    _number("minimum_quantity_base", "base", "Smallest quantity.", (0.0, 1e12), None),
    _number("minimum_notional_quote", "quote", "Smallest notional.", (0.0, 1e12), None),
)
_WHOLE_NUMBERS: Final = (
    ParameterInfo("volatility_period_bars", ParameterType.INT, "bars", "", 2, 100_000, default=30),
    ParameterInfo("max_entry_count", ParameterType.INT, "entries", "", 1, 100, default=1),
)
_TIER_NUMBERS: Final = (
    _number("notional_limit_quote", "quote", "", (_ABOVE_ZERO, 1e300), None),
    _number("maintenance_margin_ratio", "fraction", "", (_ABOVE_ZERO, _BELOW_ONE), 0.005),
    _number("deduction_quote", "quote", "", (0.0, 1e300), 0.0),
)
_MOST_TIERS: Final = 64
_NEEDS: Final = (
    ("trailing_activation_ratio", "trailing_stop_ratio"),
    ("risk_tiers", "leverage"),
    ("slippage_ticks", "tick_size_quote"),
)


def problems_with(execution: Execution, *, stop_defined: bool = False) -> list[tuple[str, str]]:
    """Return everything wrong with a model: the field's name, and what is wrong with it.

    `stop_defined` says that a stop is given elsewhere: by the strategy, or per set. Fields of tiers
    are told as "risk_tiers[0].deduction_quote".
    """
    found = []
    for info in (*_FIXED_NUMBERS, *EXECUTION_PARAMETERS, *_WHOLE_NUMBERS):
        problem = _problem_with_field(info, execution)
        if problem:
            found.append((info.name, problem))
    defaults = Execution()
    for name, needed in _NEEDS:
        given = getattr(execution, name) != getattr(defaults, name)
        if given and getattr(execution, needed) is None:
            found.append((name, f"has no meaning without {needed}"))
    sizes = [name for name in SIZES if getattr(execution, name) is not None]
    found += [(name, f"cannot be given beside {sizes[0]}") for name in sizes[1:]]
    without_stop = execution.stop_loss_ratio is None and not stop_defined
    if execution.risk_per_trade_ratio is not None and without_stop:
        found.append(("risk_per_trade_ratio", "needs a stop"))
    return found + _problems_with_tiers(execution.risk_tiers)


def _problem_with_field(info: ParameterInfo, holder: Execution | RiskTier) -> str | None:
    value = getattr(holder, info.name)
    if value is None:
        return "must be given" if info.default is not None else None
    return problem_with(info, value)


def _problems_with_tiers(tiers: tuple[RiskTier, ...]) -> list[tuple[str, str]]:
    found = []
    if len(tiers) > _MOST_TIERS:
        found.append(("risk_tiers", f"must be at most {_MOST_TIERS}, not {len(tiers)}"))
    below = 0.0
    for place, tier in enumerate(tiers):
        path = f"risk_tiers[{place}]"
        for info in _TIER_NUMBERS:
            problem = _problem_with_field(info, tier)
            if problem:
                found.append((f"{path}.{info.name}", problem))
        limit = tier.notional_limit_quote
        if limit is None:
            if place < len(tiers) - 1:
                found.append((f"{path}.notional_limit_quote", "must be given but in the last tier"))
        elif not limit > below:
            found.append(
                (f"{path}.notional_limit_quote", f"must be above the tier before, {below!r}")
            )
        else:
            below = limit
    return found
