"""Numbers, times and values as words for people. JSON never passes through here."""

from __future__ import annotations

import math
from collections.abc import Iterable

from assay.backtest.v1.metrics_pb2 import Metrics, UndefinedReason
from assay.backtest.v1.strategy_pb2 import (
    ParameterAssignment,
    ParameterInfo,
    ParameterValue,
    StrategyChoice,
)
from assay.market.v1.candles_pb2 import TimeWindow
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.intervals import Interval

PERCENT_METRICS = frozenset(
    {
        "total_return_ratio",
        "cagr_ratio",
        "annualized_volatility_ratio",
        "max_drawdown_ratio",
        "ulcer_index_ratio",
        "value_at_risk_95_ratio",
        "conditional_value_at_risk_95_ratio",
        "win_rate_ratio",
        "long_win_rate_ratio",
        "short_win_rate_ratio",
        "average_adverse_excursion_ratio",
        "average_favorable_excursion_ratio",
        "exposure_ratio",
    }
)
"""Fractions that people read as percents; other ratios, such as Sharpe's, are plain numbers."""

_BARS = "▁▂▃▄▅▆▇█"


def percent(fraction: float) -> str:
    """Return a fraction as percent: 0.25 is "25.00 %"."""
    return f"{fraction * 100:,.2f} %"


def metric_value(name: str, value: float) -> str:
    """Return a metric's value in the form its name asks for."""
    if name in PERCENT_METRICS:
        return percent(value)
    if name.endswith("_quote"):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}"


def metric(metrics: Metrics, name: str) -> str:
    """Return a metric's value as words, or why it has none."""
    if metrics.HasField(name):  # type: ignore[arg-type]
        return metric_value(name, getattr(metrics, name))
    for item in metrics.undefined:
        if item.metric == name:
            return f"undefined ({enum_word(UndefinedReason.Name(item.reason))})"
    return "-"


def enum_word(name: str) -> str:
    """Return the telling part of an enum value's name: "NO_TRADES" is "no trades"."""
    for prefix in ("UNDEFINED_REASON_", "EXIT_REASON_", "DIRECTION_", "STATE_", "KIND_", "TYPE_"):
        name = name.removeprefix(prefix)
    return name.replace("_", " ").lower()


def value(parameter: ParameterValue) -> str:
    """Return a parameter's value."""
    kind = parameter.WhichOneof("kind")
    if kind == "double_value":
        return f"{parameter.double_value:.6g}"
    return "" if kind is None else str(getattr(parameter, kind))


def strategy(choice: StrategyChoice) -> str:
    """Return a strategy's name, or the first line that a definition says of itself."""
    if not choice.HasField("definition"):
        return choice.name
    told = choice.definition.description.partition("\n")[0]
    return f"definition: {told}" if told else "definition"


def allowed(info: ParameterInfo) -> str:
    """Return the values a parameter may take: "1 to 100,000", "above 0, below 1".

    The contract tells an open bound as the number next to it.
    """
    if info.categories:
        return ", ".join(info.categories)
    low = f"{info.minimum:,.15g}" if info.HasField("minimum") else "any"
    high = f"{info.maximum:,.15g}" if info.HasField("maximum") else "any"
    opens = info.minimum == math.ulp(0.0)
    if info.maximum == math.nextafter(1.0, 0.0):
        return f"{'above 0' if opens else f'from {low}'}, below 1"
    return f"above 0, up to {high}" if opens else f"{low} to {high}"


def parameters(assignments: Iterable[ParameterAssignment]) -> str:
    """Return parameters with their values on one line."""
    return ", ".join(f"{item.name}={value(item.value)}" for item in assignments)


def moment(time: Timestamp) -> str:
    """Return a time in UTC, to the minute where it is a whole one; empty for an unset one."""
    if time.seconds == 0 and time.nanos == 0:
        return ""
    told = time.ToDatetime()
    return told.strftime("%Y-%m-%d %H:%M" if told.second == 0 else "%Y-%m-%d %H:%M:%S")


def span(window: TimeWindow) -> str:
    """Return a half-open window; empty where it is not set."""
    start, end = moment(window.start_time), moment(window.end_time)
    return f"{start or 'first bar'} to {end or 'last bar'}" if start or end else ""


def seconds(duration: Duration) -> str:
    """Return a duration: "12.3 s", "2 min 5 s", "3 h 20 min"."""
    total = duration.seconds + duration.nanos / 1e9
    if total < 60:
        return f"{total:.1f} s"
    minutes, rest = divmod(round(total), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def interval(number: int) -> str:
    """Return the short name of a value of the contract's Interval; empty for unspecified."""
    return Interval.from_number(number).value if number else ""


def sparkline(values: list[float], width: int = 60) -> str:
    """Return a row of bars that draws the values, at most `width` of them."""
    if not values:
        return ""
    step = max(1, len(values) / width)
    picked = [values[int(place * step)] for place in range(min(width, len(values)))]
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[int((item - low) * scale)] for item in picked)
