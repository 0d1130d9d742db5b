"""Parameter values and metrics, as messages and as plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from assay.backtest.v1 import metrics_pb2, strategy_pb2

from services.optimizer.core.trial import DatasetResult, Outcome, Point, Value

_FIELDS: Final = [
    field for field in metrics_pb2.Metrics.DESCRIPTOR.fields if field.name != "undefined"
]

METRIC_NAMES: Final = tuple(field.name for field in _FIELDS)
"""Names of all metrics, in field order."""

WHOLE_METRICS: Final = frozenset(field.name for field in _FIELDS if field.type == field.TYPE_INT64)
"""Those of them that are whole numbers."""


def value_of(message: strategy_pb2.ParameterValue) -> Value | None:
    """Return the value of a message; None where none is set."""
    kind = message.WhichOneof("kind")
    if kind == "int_value":
        return message.int_value
    if kind == "double_value":
        return message.double_value
    return message.category_value if kind == "category_value" else None


def value_message(value: Value) -> strategy_pb2.ParameterValue:
    """Return a value as a message of its own type."""
    if isinstance(value, str):
        return strategy_pb2.ParameterValue(category_value=value)
    if isinstance(value, int):
        return strategy_pb2.ParameterValue(int_value=value)
    return strategy_pb2.ParameterValue(double_value=value)


def assignments(point: Point) -> list[strategy_pb2.ParameterAssignment]:
    """Return a point as messages, in its order."""
    return [
        strategy_pb2.ParameterAssignment(name=name, value=value_message(value))
        for name, value in point.items()
    ]


def column_message(name: str, values: Iterable[Value]) -> strategy_pb2.ParameterColumn:
    """Return one parameter's values over many sets, all of one type."""
    column = strategy_pb2.ParameterColumn(name=name)
    words: dict[str, int] = {}
    for value in values:
        if isinstance(value, str):
            column.category_values.indexes.append(words.setdefault(value, len(words)))
        elif isinstance(value, int):
            column.int_values.values.append(value)
        else:
            column.double_values.values.append(value)
    if words:
        column.category_values.categories.extend(words)
    return column


def metrics_message(outcome: Outcome | DatasetResult) -> metrics_pb2.Metrics | None:
    """Return the metrics of an outcome; None where the point did not run."""
    if not outcome.metrics and not outcome.undefined:
        return None
    message = metrics_pb2.Metrics()
    for name in METRIC_NAMES:
        if name in outcome.metrics:
            value = outcome.metrics[name]
            setattr(message, name, int(value) if name in WHOLE_METRICS else value)
        elif name in outcome.undefined:
            message.undefined.append(
                metrics_pb2.UndefinedMetric(
                    metric=name,
                    reason=metrics_pb2.UndefinedReason.ValueType(outcome.undefined[name]),
                )
            )
    return message
