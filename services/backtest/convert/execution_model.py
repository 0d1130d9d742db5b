"""The execution model between message and plain value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from assay.backtest.v1 import execution_pb2

from services.backtest.convert.series import SeriesChoices
from services.backtest.convert.values import first_value
from services.backtest.core.execution import (
    DEFAULT_TIERS,
    SIZES,
    Execution,
    IntrabarPolicy,
    RiskTier,
    TargetFill,
    problems_with,
)
from services.backtest.core.parameters import Column, Value
from services.common.errors import Violation

MOST_TIERS: Final = 64

_NUMBERS: Final = (
    "initial_capital_quote",
    "taker_fee_bps",
    "take_profit_fee_bps",
    "slippage_bps",
    "position_fraction_ratio",
    "stop_loss_ratio",
    "take_profit_ratio",
    "trailing_stop_ratio",
    "trailing_activation_ratio",
    "leverage",
    "liquidation_fee_bps",
    "position_quote",
    "position_quantity_base",
    "risk_per_trade_ratio",
    "volatility_target_ratio",
    "volatility_period_bars",
    "max_entry_count",
    "slippage_ticks",
)
_SWITCHES: Final = ("close_at_end", "size_on_initial_capital")
_RULES: Final = (
    "tick_size_quote",
    "quantity_step_base",
    "minimum_quantity_base",
    "minimum_notional_quote",
)
"""Fields of `InstrumentRules`, which the core keeps with the others."""

_PART_OF: Final[Mapping[str, str]] = {
    "liquidation_fee_bps": "leverage",
    "volatility_period_bars": "volatility_target_ratio",
    "slippage_ticks": "tick_size_quote",
}
"""Numbers that mean something only beside another one."""

_DEFAULTS: Final = Execution()


def read_execution(message: execution_pb2.ExecutionModel, found: list[Violation]) -> Execution:
    """Return the model with its defaults filled; notes unknown choices in `found`."""
    given: dict[str, Any] = {
        name: getattr(message, name) for name in _NUMBERS if message.HasField(name)
    }
    given |= {name: getattr(message, name) for name in _SWITCHES}
    if message.HasField("instrument"):
        rules = message.instrument
        given |= {name: getattr(rules, name) for name in _RULES if rules.HasField(name)}
    for name, kind in (("intrabar_policy", IntrabarPolicy), ("target_fill", TargetFill)):
        number = getattr(message, name)
        if number in list(kind):
            given[name] = kind(number)
        elif number:
            found.append(Violation(f"execution.{name}", f"{number} is not one of the choices"))
    if len(message.risk_tiers) > MOST_TIERS:
        told = f"holds {len(message.risk_tiers):,} tiers; at most {MOST_TIERS}"
        found.append(Violation("execution.risk_tiers", told))
    else:
        given["risk_tiers"] = tuple(map(_tier, message.risk_tiers))
    return Execution(**given)


def _tier(message: execution_pb2.RiskTier) -> RiskTier:
    limited = message.HasField("notional_limit_quote")
    return RiskTier(
        notional_limit_quote=message.notional_limit_quote if limited else None,
        maintenance_margin_ratio=message.maintenance_margin_ratio,
        deduction_quote=message.deduction_quote,
    )


@dataclass(frozen=True, slots=True)
class SearchedExecution:
    """The parameters of the execution model that a request gives among the parameters.

    Attributes:
        fixed: Those equal in all sets.
        columns: Those that differ between them.
        places: Where each was given: "leverage" in "columns[0]".
    """

    fixed: Mapping[str, Value]
    columns: Mapping[str, Column]
    places: Mapping[str, str]


def with_parameters(
    model: Execution,
    message: execution_pb2.ExecutionModel,
    searched: SearchedExecution,
    found: list[Violation],
    *,
    stop_defined: bool,
) -> Execution:
    """Return the model with the parameters that are equal in all sets, checked as it will be used.

    Rules between fields, such as an activation that needs a trailing stop, are checked with the
    first set's values for parameters that differ between sets. `stop_defined` says that the
    strategy has a stop of its own. What is wrong with a parameter given in one of the places is
    noted there, unless that place is noted already.
    """
    fixed: dict[str, Any] = dict(searched.fixed)
    first: dict[str, Any] = {name: first_value(one) for name, one in searched.columns.items()}
    result = replace(model, **fixed) if fixed else model
    first_set = replace(result, **first) if first else result
    noted = {item.field.partition(".")[0] for item in found}
    for field, description in problems_with(first_set, stop_defined=stop_defined):
        place = searched.places.get(field, _path(field))
        if place not in noted:
            found.append(Violation(place, description))
    # The core knows no numbers that were not given.
    if message.HasField("volatility_period_bars") and first_set.volatility_target_ratio is None:
        told = "has no meaning without volatility_target_ratio"
        found.append(Violation("execution.volatility_period_bars", told))
    return result


def _path(field: str) -> str:
    return f"execution.instrument.{field}" if field in _RULES else f"execution.{field}"


def execution_message(
    model: Execution, series: SeriesChoices, searched: Iterable[str] = ()
) -> execution_pb2.ExecutionModel:
    """Return the model as a message with every default written out; what is off stays unset.

    `searched` are the parameters that differ between sets: a size among them leaves none to fill.
    """
    message_type = execution_pb2.ExecutionModel
    message = message_type(
        intrabar_policy=message_type.IntrabarPolicy.ValueType(model.intrabar_policy),
        target_fill=message_type.TargetFill.ValueType(model.target_fill),
        close_at_end=model.close_at_end,
        size_on_initial_capital=model.size_on_initial_capital,
    )
    for name in _NUMBERS:
        value = getattr(model, name)
        if value is not None and _is_told(model, name):
            setattr(message, name, value)
    for name in _RULES:
        value = getattr(model, name)
        if value is not None:
            setattr(message.instrument, name, value)
    _fill(message, model, frozenset(searched))
    series.write(message)
    return message


def _is_told(model: Execution, name: str) -> bool:
    """Whether a number is told: with what it is part of, or where it was given without."""
    whole = _PART_OF.get(name)
    if whole is None or getattr(model, whole) is not None:
        return True
    return bool(getattr(model, name) != getattr(_DEFAULTS, name))


def _fill(
    message: execution_pb2.ExecutionModel, model: Execution, searched: frozenset[str]
) -> None:
    """Write what an unset value of the model stands for."""
    if model.take_profit_fee_bps is None:
        message.take_profit_fee_bps = model.taker_fee_bps
    if model.trailing_stop_ratio is not None and model.trailing_activation_ratio is None:
        message.trailing_activation_ratio = 0.0
    if searched.isdisjoint(SIZES) and all(getattr(model, name) is None for name in SIZES):
        message.position_fraction_ratio = 1.0
    tiers = model.risk_tiers or (DEFAULT_TIERS if model.leverage is not None else ())
    for tier in tiers:
        message.risk_tiers.add(
            notional_limit_quote=tier.notional_limit_quote,
            maintenance_margin_ratio=tier.maintenance_margin_ratio,
            deduction_quote=tier.deduction_quote,
        )
