"""Results to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from assay.backtest.v1 import (
    backtest_service_pb2,
    metrics_pb2,
    strategy_pb2,
)

from services.backtest.convert.execution_model import execution_message
from services.backtest.convert.jobs import STRATEGY_PREFIX, BatchJob, RunJob
from services.backtest.convert.snapshots import LoadedFrame
from services.backtest.convert.values import value_message
from services.backtest.core.batch import BatchResult
from services.backtest.core.metrics import INTEGER_METRICS, METRIC_NAMES
from services.backtest.core.single import SingleResult
from services.common.frames_codec import timestamp_from_ms

MOST_TRADES: Final = 10_000


def metrics_message(values: Mapping[str, float], reasons: Mapping[str, int]) -> metrics_pb2.Metrics:
    """Return metrics as a message: what has no value stays unset, with its reason in field order."""
    message = metrics_pb2.Metrics()
    for name in METRIC_NAMES:
        if name in reasons:
            message.undefined.add(metric=name, reason=reasons[name])
        elif name in INTEGER_METRICS:
            setattr(message, name, int(values[name]))
        else:
            setattr(message, name, values[name])
    return message
