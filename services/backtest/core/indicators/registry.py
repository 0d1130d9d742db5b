"""All functions of the expression language that give a number per bar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from services.backtest.core.indicators.averages import AVERAGES
from services.backtest.core.indicators.channels import CHANNELS
from services.backtest.core.indicators.distribution import DISTRIBUTION
from services.backtest.core.indicators.extremes import EXTREMES
from services.backtest.core.indicators.momentum import MOMENTUM
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.indicators.ranges import RANGES
from services.backtest.core.indicators.trends import TRENDS
from services.backtest.core.indicators.volume import VOLUME

_OPERATIONS: Final[dict[str, Operation]] = {}

INDICATORS: Final[Mapping[str, Operation]] = MappingProxyType(_OPERATIONS)
"""By name, in the order of names."""


def install(operations: Iterable[Operation]) -> None:
    """Add operations, which must be sound; those of plug-ins before anything is compiled."""
    known = {**_OPERATIONS, **{operation.name: operation for operation in operations}}
    _OPERATIONS.clear()
    _OPERATIONS.update(sorted(known.items()))


install(
    (
        *AVERAGES,
        *CHANNELS,
        *DISTRIBUTION,
        *EXTREMES,
        *MOMENTUM,
        *RANGES,
        *TRENDS,
        *VOLUME,
    )
)
