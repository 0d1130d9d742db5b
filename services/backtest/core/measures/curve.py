"""Metrics of the equity curve, bar by bar, from its sums."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.curve import Curve, least_ratio
from services.backtest.core.kernel import Bytes, Numbers, inner
from services.backtest.core.measures.places import put, put_reason, put_value
from services.backtest.core.measures.powers import power_less_one
from services.backtest.core.metrics import Metric, UndefinedReason

_TOO_FEW: Final = int(UndefinedReason.TOO_FEW_OBSERVATIONS)
_NO_VARIANCE: Final = int(UndefinedReason.NO_VARIANCE)
_NO_DRAWDOWN: Final = int(UndefinedReason.NO_DRAWDOWN)
_RUINED: Final = int(UndefinedReason.RUINED)
_FEWEST_DAYS: Final = 30.0
_CALENDAR_YEAR_DAYS: Final = 365.25


@inner
def measure_final(final: float, capital: float, values: Numbers) -> None:
    """Measure what came out: equity at the last close."""
    values[Metric.TOTAL_RETURN_RATIO] = final / capital - 1.0
    values[Metric.NET_PROFIT_QUOTE] = final - capital
    values[Metric.FINAL_EQUITY_QUOTE] = final


@inner
def measure_drawdown(curve: Curve, bars: int, values: Numbers, reasons: Bytes) -> None:
    """Measure the falls of equity in `bars` bars.

    A drawdown lasts from the last bar at its peak to the first bar back at it.
    """
    under = bars - 1 - curve.peak_bar
    recovered = under <= curve.longest
    longest = max(under, curve.longest)
    values[Metric.MAX_DRAWDOWN_RATIO] = 1.0 - least_ratio(curve)
    values[Metric.MAX_DRAWDOWN_DURATION_BARS] = longest
    metric = Metric.MAX_DRAWDOWN_RECOVERED
    put(values, reasons, metric, 1.0 if recovered else 0.0, longest == 0, _NO_DRAWDOWN)


@inner
def measure_bar_sharpe(
    curve: Curve, bars: int, ruined: bool, bars_per_year: float, values: Numbers, reasons: Bytes
) -> None:
    """Measure returns over `bars` bars; `ruined` says that the account was before the last one.

    mean = s1 / n and variance = (s2 - n mean^2) / (n - 1) of the sums of returns and of their
    squares. The first bar's return is 0, so returns that are all equal have squares that sum to 0.
    """
    metric = Metric.BAR_SHARPE_RATIO
    if bars < 2:
        put_reason(values, reasons, metric, _TOO_FEW)
        return
    if ruined:
        put_reason(values, reasons, metric, _RUINED)
        return
    mean = curve.returns / bars
    variance = (curve.squares - bars * mean * mean) / (bars - 1)
    if not variance > 0.0:
        put_reason(values, reasons, metric, _NO_VARIANCE)
        return
    put_value(values, reasons, metric, mean / np.sqrt(variance) * np.sqrt(bars_per_year))


@inner
def measure_growth(capital: float, days: float, values: Numbers, reasons: Bytes) -> None:
    """Measure growth a year of 365.25 days, and growth over drawdown.

    Final equity and largest drawdown must be in their places.
    """
    if days < _FEWEST_DAYS:
        put_reason(values, reasons, Metric.CAGR_RATIO, _TOO_FEW)
        put_reason(values, reasons, Metric.CALMAR_RATIO, _TOO_FEW)
        return
    growth = values[Metric.FINAL_EQUITY_QUOTE] / capital
    cagr = power_less_one(growth, _CALENDAR_YEAR_DAYS / days) if growth > 0.0 else -1.0
    put_value(values, reasons, Metric.CAGR_RATIO, cagr)
    drawdown = values[Metric.MAX_DRAWDOWN_RATIO]
    put(values, reasons, Metric.CALMAR_RATIO, cagr / drawdown, drawdown == 0.0, _NO_DRAWDOWN)
