"""The execution model between message and plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from assay.backtest.v1 import execution_pb2

from services.backtest.core.execution import (
    Execution,
    IntrabarPolicy,
    TargetFill,
    problems_with,
)
from services.common.errors import Violation

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
)


def read_execution(message: execution_pb2.ExecutionModel, found: list[Violation]) -> Execution:
    """Return the model with its defaults filled; notes unknown choices in `found`."""
    given = {name: getattr(message, name) for name in _NUMBERS if message.HasField(name)}
    model = Execution(close_at_end=message.close_at_end, **given)
    for name, kind in (("intrabar_policy", IntrabarPolicy), ("target_fill", TargetFill)):
        number = getattr(message, name)
        if number in list(kind):
            chosen: dict[str, Any] = {name: kind(number)}
            model = replace(model, **chosen)
        elif number:
            found.append(Violation(f"execution.{name}", f"{number} is not one of the choices"))
    return model


def with_parameters(
    model: Execution,
    fixed: Mapping[str, Any],
    columns: Mapping[str, Sequence[Any]],
    places: Mapping[str, str],
    found: list[Violation],
) -> Execution:
    """Return the model with the parameters that are equal in all sets, checked as it will be used.

    Rules between fields, such as an activation that needs a trailing stop, are checked with the
    first set's values for parameters that differ between sets. What is wrong with a parameter given
    in one of `places` is noted there, unless that place is noted already.
    """
    result = replace(model, **fixed)
    first_set = replace(result, **{name: column[0] for name, column in columns.items()})
    noted = {item.field.partition(".")[0] for item in found}
    for field, description in problems_with(first_set):
        place = places.get(field, f"execution.{field}")
        if place not in noted:
            found.append(Violation(place, description))
    return result


def execution_message(model: Execution) -> execution_pb2.ExecutionModel:
    """Return the model as a message with every default written out; what is off stays unset."""
    message_type = execution_pb2.ExecutionModel
    message = message_type(
        intrabar_policy=message_type.IntrabarPolicy.ValueType(model.intrabar_policy),
        target_fill=message_type.TargetFill.ValueType(model.target_fill),
        close_at_end=model.close_at_end,
    )
    for name in _NUMBERS:
        value = getattr(model, name)
        if value is not None:
            setattr(message, name, value)
    if model.take_profit_fee_bps is None:
        message.take_profit_fee_bps = model.taker_fee_bps
    if model.trailing_stop_ratio is not None and model.trailing_activation_ratio is None:
        message.trailing_activation_ratio = 0.0
    return message
