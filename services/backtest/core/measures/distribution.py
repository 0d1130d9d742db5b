"""Metrics of the distribution of daily returns: its shape and its tails."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Numbers, inner
from services.backtest.core.measures.places import put, put_value
from services.backtest.core.metrics import Metric, UndefinedReason

_NO_VARIANCE: Final = int(UndefinedReason.NO_VARIANCE)
_NO_LOSSES: Final = int(UndefinedReason.NO_LOSSES)


@inner
def measure_distribution(returns: Numbers, values: Numbers, reasons: Bytes) -> None:
    """Measure daily returns, at least one."""
    _measure_shape(returns, values, reasons)
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
    put(values, reasons, Metric.SKEWNESS, skewness, constant, _NO_VARIANCE)
    put(values, reasons, Metric.EXCESS_KURTOSIS, kurtosis, constant, _NO_VARIANCE)


@inner
def _fill_extremes(numbers: Numbers, sign: float, out: Numbers) -> None:
    """Set out to the smallest of the numbers times sign, rising."""
    kept = 0
    for number in numbers:
        hole = kept
        if kept == len(out):
            if sign * number >= out[kept - 1]:
                continue
            hole -= 1
        else:
            kept += 1
        while hole > 0 and out[hole - 1] > sign * number:
            out[hole] = out[hole - 1]
            hole -= 1
        out[hole] = sign * number


@inner
def _quantiles(returns: Numbers) -> tuple[float, float]:
    """Return the 5 % and the 95 % quantile, interpolated between neighbours.

    They lie (n - 1) / 20 steps from either end.
    """
    steps, rest = (len(returns) - 1) // 20, (len(returns) - 1) % 20
    extremes = np.empty(min(steps + 2, len(returns)))
    inward = min(steps + 1, len(returns) - 1)
    share = rest / 20.0
    _fill_extremes(returns, 1.0, extremes)
    low = extremes[steps] + share * (extremes[inward] - extremes[steps])
    _fill_extremes(returns, -1.0, extremes)
    high = -(extremes[steps] + share * (extremes[inward] - extremes[steps]))
    return low, high


@inner
def _measure_tails(returns: Numbers, values: Numbers, reasons: Bytes) -> None:
    at_risk, best = _quantiles(returns)
    total = 0.0
    count = 0
    for number in returns:
        if number <= at_risk:
            total += number
            count += 1
    put_value(values, reasons, Metric.VALUE_AT_RISK_95_RATIO, at_risk)
    put_value(values, reasons, Metric.CONDITIONAL_VALUE_AT_RISK_95_RATIO, total / count)
    ratio = best / abs(at_risk)
    put(values, reasons, Metric.TAIL_RATIO, ratio, at_risk == 0.0, _NO_LOSSES)
