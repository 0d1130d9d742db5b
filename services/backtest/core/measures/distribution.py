"""Metrics of the distribution of daily returns: its shape and its tails."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Numbers, inner, kernel
from services.backtest.core.metrics import Metric, UndefinedReason

_NO_VARIANCE: Final = int(UndefinedReason.NO_VARIANCE)
_NO_LOSSES: Final = int(UndefinedReason.NO_LOSSES)
_GAPS: Final = np.array([1750, 701, 301, 132, 57, 23, 10, 4, 1])


@inner
def _put(
    values: Numbers, reasons: Bytes, metric: int, value: float, undefined: bool, reason: int
) -> None:
    """Set a metric, or unset it for a reason when it is undefined."""
    values[metric] = np.nan if undefined else value
    reasons[metric] = reason if undefined else 0


@kernel
def measure_distribution(returns: Numbers, values: Numbers, reasons: Bytes) -> None:
    """Measure daily returns, at least one; afterwards they are sorted."""
    _measure_shape(returns, values, reasons)
    _sort(returns)
    _measure_tails(returns, values, reasons)


@inner
def _measure_shape(returns: Numbers, values: Numbers, reasons: Bytes) -> None:
    """Moments of the population: m3 / m2^1.5 and m4 / m2^2 - 3."""
    count = len(returns)
    total = 0.0
    for number in returns:
        total += number
    mean = total / count
    squares = cubes = fourths = 0.0
    constant = True
    for number in returns:
        constant = constant and number == returns[0]
        distance = number - mean
        square = distance * distance
        squares += square
        cubes += square * distance
        fourths += square * square
    second = squares / count
    skewness = cubes / count / (second * np.sqrt(second))
    kurtosis = fourths / count / (second * second) - 3.0
    _put(values, reasons, Metric.SKEWNESS, skewness, constant, _NO_VARIANCE)
    _put(values, reasons, Metric.EXCESS_KURTOSIS, kurtosis, constant, _NO_VARIANCE)


@inner
def _sort(numbers: Numbers) -> None:
    """Shell's sort with the gaps of Ciura (2001)."""
    for gap in _GAPS:
        for place in range(gap, len(numbers)):
            number = numbers[place]
            hole = place
            while hole >= gap and numbers[hole - gap] > number:
                numbers[hole] = numbers[hole - gap]
                hole -= gap
            numbers[hole] = number


@inner
def _quantile(rising: Numbers, twentieths: int) -> float:
    """Return a quantile in twentieths, interpolated between neighbours."""
    steps = (len(rising) - 1) * twentieths
    low, rest = steps // 20, steps % 20
    if rest == 0:
        return float(rising[low])
    return float(rising[low] + rest / 20.0 * (rising[low + 1] - rising[low]))


@inner
def _measure_tails(rising: Numbers, values: Numbers, reasons: Bytes) -> None:
    at_risk, best = _quantile(rising, 1), _quantile(rising, 19)
    total = 0.0
    count = 0
    for number in rising:
        if number > at_risk:
            break
        total += number
        count += 1
    values[Metric.VALUE_AT_RISK_95_RATIO] = at_risk
    reasons[Metric.VALUE_AT_RISK_95_RATIO] = 0
    values[Metric.CONDITIONAL_VALUE_AT_RISK_95_RATIO] = total / count
    reasons[Metric.CONDITIONAL_VALUE_AT_RISK_95_RATIO] = 0
    ratio = best / abs(at_risk)
    _put(values, reasons, Metric.TAIL_RATIO, ratio, at_risk == 0.0, _NO_LOSSES)
