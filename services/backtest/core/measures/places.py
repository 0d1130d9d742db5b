"""Writing a metric into its place, or the reason why it has no value."""

from __future__ import annotations

import numpy as np

from services.backtest.core.kernel import Bytes, Numbers, inner


@inner
def put_value(values: Numbers, reasons: Bytes, metric: int, value: float) -> None:
    """Give a metric its value."""
    values[metric] = value
    reasons[metric] = 0


@inner
def put_reason(values: Numbers, reasons: Bytes, metric: int, reason: int) -> None:
    """Say why a metric has no value, an UndefinedReason."""
    values[metric] = np.nan
    reasons[metric] = reason


@inner
def put(
    values: Numbers, reasons: Bytes, metric: int, value: float, undefined: bool, reason: int
) -> None:
    """Give a metric its value, or say why it has none when it is undefined."""
    if undefined:
        put_reason(values, reasons, metric, reason)
    else:
        put_value(values, reasons, metric, value)
