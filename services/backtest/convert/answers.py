"""Results to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from assay.backtest.v1 import (
    metrics_pb2,
)

from services.backtest.core.metrics import INTEGER_METRICS, METRIC_NAMES

MOST_TRADES: Final = 10_000


def metrics_message(values: Mapping[str, float], reasons: Mapping[str, int]) -> metrics_pb2.Metrics:
    """Return metrics as a message; what has no value stays unset, with its reason."""
    message = metrics_pb2.Metrics()
    for name in METRIC_NAMES:
        if name in reasons:
            message.undefined.add(metric=name, reason=reasons[name])
        elif name in INTEGER_METRICS:
            setattr(message, name, int(values[name]))
        else:
            setattr(message, name, values[name])
    return message
