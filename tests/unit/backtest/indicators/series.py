"""Columns for tests of indicators, arguments for every one of them, and how to evaluate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.indicators.operation import Operation, Statics
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.kernel import frozen

Numbers = npt.NDArray[np.float64]
Market = Mapping[str, Numbers]

SMALL: Final = {"fast": 3.0, "slow": 7.0, "signal": 4.0, "conversion": 3.0, "displacement": 4.0}
"""What whole arguments with these names are, where others are 5."""


def walk(seed: int, bars: int, decimals: int | None = 2) -> dict[str, Numbers]:
    """Return columns of a random walk around 100; `decimals` None: not rounded."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, bars)))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, 0.005, bars))
    spread = np.abs(rng.normal(0.0, 0.01, (2, bars)))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * (1.0 + spread[0]),
        "low": np.minimum(opened, close) / (1.0 + spread[1]),
        "close": close,
        "volume": rng.random(bars) * 1_000.0 + 1.0,
    }
    if decimals is None:
        return columns
    return {name: np.round(column, decimals) for name, column in columns.items()}


def arguments(operation: Operation, period: float = 5.0) -> Statics:
    """Return small arguments for an operation."""
    return tuple(
        max(one.minimum, SMALL.get(one.name, period)) if one.whole else 1.5
        for one in operation.statics
    )


def given(operation: Operation, market: Market, series: str = "close") -> tuple[Numbers, ...]:
    """Return the columns an operation reads, with one of them as its series."""
    names = (*operation.columns, *(series for _ in operation.series))
    return tuple(frozen(np.ascontiguousarray(market[name])) for name in names)


def values(name: str, market: Market, *statics: float, series: str = "close") -> Numbers:
    """Evaluate an indicator over whole columns."""
    operation = INDICATORS[name]
    assert len(statics) == len(operation.statics)
    made = operation.compute(given(operation, market, series), statics)
    return made[operation.output]


def over(name: str, column: Numbers, *statics: float) -> Numbers:
    """Evaluate an indicator of one series."""
    return values(name, {"close": column}, *statics)
