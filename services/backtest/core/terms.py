"""The execution model as plain numbers, one row per parameter set."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.backtest.core.execution import DEFAULT_TIERS, SIZES, Execution, TargetFill
from services.backtest.core.kernel import Numbers, frozen

# Ways to size a position: their places in SIZES.
FRACTION: Final = 0.0
QUOTE: Final = 1.0
QUANTITY_BASE: Final = 2.0
RISK: Final = 3.0
VOLATILITY: Final = 4.0

# Columns of the tiers of maintenance margin.
TIER_LIMIT: Final = 0
TIER_RATIO: Final = 1
TIER_DEDUCTION: Final = 2
TIER_COLUMNS: Final = 3


class Terms(NamedTuple):
    """The execution model of a set: 0 switches off, ratios instead of bps.

    Attributes:
        capital: Money at the start.
        fee: Taker fee.
        target_fee: Fee of take-profit fills.
        slippage: Adverse shift of market fills as a fraction of the price.
        slip: Adverse shift beside it, in quote currency.
        stop: Distance of the stop.
        target: Distance of the take-profit.
        trail: Distance of the trailing stop.
        activation: Favourable move before it starts.
        policy: Number of the IntrabarPolicy.
        better_open: 1 when gapped targets fill at the open.
        close_at_end: 1 when an open position is closed at the last close.
        sizing: FRACTION, QUOTE, QUANTITY_BASE, RISK or VOLATILITY.
        size: The number that goes with it.
        on_capital: 1 when shares count from the initial capital.
        entries: Most entries into one position.
        leverage: Notional over margin; 1 without leverage.
        margined: 1 with leverage: positions can be liquidated.
        liquidation_fee: Fee on the notional at the bankruptcy price.
        tick_units: The tick is tick_units / tick_scale; 0: none.
        tick_scale: A power of ten.
        step_units: The quantity step, likewise.
        step_scale: A power of ten.
        minimum_quantity: Smallest quantity of an order.
        minimum_notional: Smallest notional of an order.
    """

    capital: float
    fee: float
    target_fee: float
    slippage: float
    slip: float
    stop: float
    target: float
    trail: float
    activation: float
    policy: float
    better_open: float
    close_at_end: float
    sizing: float
    size: float
    on_capital: float
    entries: float
    leverage: float
    margined: float
    liquidation_fee: float
    tick_units: float
    tick_scale: float
    step_units: float
    step_scale: float
    minimum_quantity: float
    minimum_notional: float


TERMS: Final = len(Terms._fields)
Records = npt.NDArray[np.void]
_RECORD: Final = np.dtype([(name, np.float64) for name in Terms._fields])
_SEARCHED: Final = {
    "stop_loss_ratio": "stop",
    "take_profit_ratio": "target",
    "trailing_stop_ratio": "trail",
    "trailing_activation_ratio": "activation",
    "leverage": "leverage",
}


def _decimal(step: float | None) -> tuple[float, float]:
    """Return a step as units over a power of ten, so that its multiples are true decimals."""
    if step is None:
        return 0.0, 1.0
    _, digits, exponent = Decimal(repr(step)).normalize().as_tuple()
    units = int("".join(map(str, digits)))
    places = int(exponent)
    return (float(units * 10**places), 1.0) if places >= 0 else (float(units), float(10**-places))


def terms_of(execution: Execution) -> Terms:
    """Return the terms of an execution model."""
    target_fee_bps = execution.take_profit_fee_bps
    if target_fee_bps is None:
        target_fee_bps = execution.taker_fee_bps
    sizing, size = _sizing(execution)
    tick_units, tick_scale = _decimal(execution.tick_size_quote)
    step_units, step_scale = _decimal(execution.quantity_step_base)
    return Terms(
        capital=float(execution.initial_capital_quote),
        fee=execution.taker_fee_bps / 1e4,
        target_fee=target_fee_bps / 1e4,
        slippage=execution.slippage_bps / 1e4,
        slip=execution.slippage_ticks * (execution.tick_size_quote or 0.0),
        stop=float(execution.stop_loss_ratio or 0.0),
        target=float(execution.take_profit_ratio or 0.0),
        trail=float(execution.trailing_stop_ratio or 0.0),
        activation=float(execution.trailing_activation_ratio or 0.0),
        policy=float(execution.intrabar_policy),
        better_open=float(execution.target_fill is TargetFill.BETTER_OPEN),
        close_at_end=float(execution.close_at_end),
        sizing=sizing,
        size=size,
        on_capital=float(execution.size_on_initial_capital),
        entries=float(execution.max_entry_count),
        leverage=float(execution.leverage or 1.0),
        margined=float(execution.leverage is not None),
        liquidation_fee=execution.liquidation_fee_bps / 1e4,
        tick_units=tick_units,
        tick_scale=tick_scale,
        step_units=step_units,
        step_scale=step_scale,
        minimum_quantity=float(execution.minimum_quantity_base or 0.0),
        minimum_notional=float(execution.minimum_notional_quote or 0.0),
    )


def _sizing(execution: Execution) -> tuple[float, float]:
    for place, name in enumerate(SIZES):
        size = getattr(execution, name)
        if size is not None:
            return float(place), float(size)
    return FRACTION, 1.0


def terms_matrix(execution: Execution, columns: Mapping[str, Numbers], count: int) -> Numbers:
    """Return the terms of many sets, shape (count, TERMS); one row for all without columns.

    `columns` hold a number per set for searchable fields, by their names; they replace what the
    execution model says.
    """
    base = terms_of(execution)
    rows = np.tile(np.array(base, dtype=np.float64), (count if columns else 1, 1))
    for name, numbers in columns.items():
        if name in SIZES:
            rows[:, Terms._fields.index("sizing")] = SIZES.index(name)
            rows[:, Terms._fields.index("size")] = numbers
        else:
            rows[:, Terms._fields.index(_SEARCHED[name])] = numbers
        if name == "leverage":
            rows[:, Terms._fields.index("margined")] = 1.0
    return frozen(rows)


def tiers_of(execution: Execution) -> Numbers:
    """Return the tiers of maintenance margin by rising limit, shape (tiers, 3)."""
    tiers = execution.risk_tiers or DEFAULT_TIERS
    rows = [
        (
            np.inf if tier.notional_limit_quote is None else tier.notional_limit_quote,
            tier.maintenance_margin_ratio,
            tier.deduction_quote,
        )
        for tier in tiers
    ]
    return frozen(np.array(rows, dtype=np.float64))


def records_of(matrix: Numbers) -> Records:
    """Return the rows of `terms_matrix` as records: kernels read `record.fee` through a pointer."""
    return frozen(np.ascontiguousarray(matrix).view(_RECORD)[:, 0])
