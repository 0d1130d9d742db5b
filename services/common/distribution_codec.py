"""Distributions as the contract's message."""

from __future__ import annotations

from typing import Final

from assay.backtest.v1.stress_pb2 import StressDistribution

from services.common.distribution import Distribution

_QUANTILES: Final = ("quantile_05", "quantile_25", "median", "quantile_75", "quantile_95")
"""Fields of the quantiles, in their order."""


def distribution_message(found: Distribution) -> StressDistribution:
    """Return a distribution as a message; what is undefined stays unset."""
    message = StressDistribution(
        defined_count=found.count,
        mean=found.mean,
        standard_deviation=found.deviation,
        minimum=found.minimum,
        maximum=found.maximum,
        positive_ratio=found.positive_ratio,
    )
    for name, value in zip(_QUANTILES, found.quantiles, strict=False):
        setattr(message, name, value)
    return message
