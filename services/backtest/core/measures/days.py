"""Metrics of equity at UTC midnights.

Sums run in four lanes, elements 0, 4, 8, ... in the first and so on, added as (0 + 1) + (2 + 3),
the rest behind them one by one: a fixed order that a processor can follow quickly.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Numbers, inner
from services.backtest.core.measures.places import put_reason, put_value
from services.backtest.core.measures.wants import ALL_DAYS, SHORTFALL, SPREAD, ULCER
from services.backtest.core.metrics import Metric, UndefinedReason

DAYS_PER_YEAR: Final = 365.0
_TOO_FEW: Final = int(UndefinedReason.TOO_FEW_OBSERVATIONS)
_NO_VARIANCE: Final = int(UndefinedReason.NO_VARIANCE)
_NO_LOSSES: Final = int(UndefinedReason.NO_LOSSES)
_RUINED: Final = int(UndefinedReason.RUINED)
_OF_RETURNS: Final = (
    int(Metric.SHARPE_RATIO),
    int(Metric.SORTINO_RATIO),
    int(Metric.OMEGA_RATIO),
    int(Metric.ANNUALIZED_VOLATILITY_RATIO),
    int(Metric.VALUE_AT_RISK_95_RATIO),
    int(Metric.CONDITIONAL_VALUE_AT_RISK_95_RATIO),
    int(Metric.TAIL_RATIO),
    int(Metric.SKEWNESS),
    int(Metric.EXCESS_KURTOSIS),
)
_OF_DAYS: Final = (*_OF_RETURNS, int(Metric.ULCER_INDEX_RATIO))


@inner
def _total(numbers: Numbers) -> float:
    a = b = c = d = 0.0
    whole = len(numbers) - len(numbers) % 4
    for place in range(0, whole, 4):
        a += numbers[place]
        b += numbers[place + 1]
        c += numbers[place + 2]
        d += numbers[place + 3]
    total = (a + b) + (c + d)
    for place in range(whole, len(numbers)):
        total += numbers[place]
    return total


@inner
def _squares(numbers: Numbers, middle: float) -> float:
    """Return the sum of squared distances from `middle`."""
    a = b = c = d = 0.0
    whole = len(numbers) - len(numbers) % 4
    for place in range(0, whole, 4):
        a += (numbers[place] - middle) * (numbers[place] - middle)
        b += (numbers[place + 1] - middle) * (numbers[place + 1] - middle)
        c += (numbers[place + 2] - middle) * (numbers[place + 2] - middle)
        d += (numbers[place + 3] - middle) * (numbers[place + 3] - middle)
    total = (a + b) + (c + d)
    for place in range(whole, len(numbers)):
        total += (numbers[place] - middle) * (numbers[place] - middle)
    return total


@inner
def _mean_and_deviation(numbers: Numbers) -> tuple[float, float]:
    """Return mean and sample deviation; numbers that are all equal deviate by exactly 0."""
    count = len(numbers)
    mean = _total(numbers) / count
    for number in numbers:
        if number != numbers[0]:
            return mean, np.sqrt(_squares(numbers, mean) / (count - 1))
    return numbers[0], 0.0


@inner
def _returns(equity: Numbers, first: float, out: Numbers) -> None:
    """Set out to the returns of equity, the first one over `first`."""
    out[0] = equity[0] / first - 1.0
    for place in range(1, len(equity)):
        out[place] = equity[place] / equity[place - 1] - 1.0


@inner
def measure_days(
    levels: Numbers, returns: Numbers, values: Numbers, reasons: Bytes, wants: int = ALL_DAYS
) -> bool:
    """Measure the curve at UTC midnights and tell whether every day has a return.

    `levels` holds the equity at each. Without two of them there is no day; a day that begins
    without equity has no return. `returns`, one shorter, gets the daily returns.
    """
    for metric in _OF_DAYS:
        put_reason(values, reasons, metric, _TOO_FEW)
    if len(levels) < 2:
        return False
    if wants & ULCER:
        put_value(values, reasons, Metric.ULCER_INDEX_RATIO, _ulcer_index(levels))
        if levels[0] <= 0.0:
            put_reason(values, reasons, Metric.ULCER_INDEX_RATIO, _RUINED)
    if levels[-2] <= 0.0:
        for metric in _OF_RETURNS:
            put_reason(values, reasons, metric, _RUINED)
        return False
    _returns(levels[1:], levels[0], returns)
    if wants & SPREAD:
        _measure_spread(returns, values, reasons)
    if wants & SHORTFALL:
        _measure_shortfall(returns, values, reasons)
    return True


@inner
def _ulcer_index(levels: Numbers) -> float:
    """Return the root mean square of drawdowns from the highest level so far (Martin 1989)."""
    peak = levels[0]
    total = 0.0
    for level in levels:
        peak = max(peak, level)
        drawdown = 1.0 - level / peak
        total += drawdown * drawdown
    return float(np.sqrt(total / len(levels)))


@inner
def _measure_spread(returns: Numbers, values: Numbers, reasons: Bytes) -> None:
    if len(returns) < 2:
        return
    mean, deviation = _mean_and_deviation(returns)
    root = np.sqrt(DAYS_PER_YEAR)
    put_value(values, reasons, Metric.ANNUALIZED_VOLATILITY_RATIO, deviation * root)
    put_value(values, reasons, Metric.SHARPE_RATIO, mean / deviation * root)
    if deviation == 0.0:
        put_reason(values, reasons, Metric.SHARPE_RATIO, _NO_VARIANCE)


@inner
def _measure_shortfall(returns: Numbers, values: Numbers, reasons: Bytes) -> None:
    gained = lost = squares = 0.0
    for number in returns:
        if number > 0.0:
            gained += number
        else:
            lost -= number
            squares += number * number
    count = len(returns)
    downside = np.sqrt(squares / count)
    sortino = _total(returns) / count / downside * np.sqrt(DAYS_PER_YEAR)
    put_value(values, reasons, Metric.SORTINO_RATIO, sortino)
    put_value(values, reasons, Metric.OMEGA_RATIO, gained / lost)
    if lost == 0.0:
        put_reason(values, reasons, Metric.SORTINO_RATIO, _NO_LOSSES)
        put_reason(values, reasons, Metric.OMEGA_RATIO, _NO_LOSSES)
