"""All metrics of one run."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel
from services.backtest.core.ledger import EXIT_BAR
from services.backtest.core.measures.curve import measure_bars, measure_days
from services.backtest.core.measures.distribution import measure_distribution
from services.backtest.core.measures.places import put, put_reason
from services.backtest.core.measures.powers import power_less_one
from services.backtest.core.measures.trades import measure_activity, measure_trades
from services.backtest.core.metrics import Metric, UndefinedReason
from services.backtest.core.terms import Span

_TOO_FEW: Final = int(UndefinedReason.TOO_FEW_OBSERVATIONS)
_NO_DRAWDOWN: Final = int(UndefinedReason.NO_DRAWDOWN)
_FEWEST_DAYS: Final = 30.0
_CALENDAR_YEAR_DAYS: Final = 365.25


@inner
def _measure_growth(capital: float, days: float, values: Numbers, reasons: Bytes) -> None:
    """Measure growth a year of 365.25 days, and growth over drawdown."""
    if days < _FEWEST_DAYS:
        put_reason(values, reasons, Metric.CAGR_RATIO, _TOO_FEW)
        put_reason(values, reasons, Metric.CALMAR_RATIO, _TOO_FEW)
        return
    growth = values[Metric.FINAL_EQUITY_QUOTE] / capital
    cagr = power_less_one(growth, _CALENDAR_YEAR_DAYS / days) if growth > 0.0 else -1.0
    values[Metric.CAGR_RATIO] = cagr
    drawdown = values[Metric.MAX_DRAWDOWN_RATIO]
    put(values, reasons, Metric.CALMAR_RATIO, cagr / drawdown, drawdown == 0.0, _NO_DRAWDOWN)


@kernel
def measure_run(
    equity: Numbers,
    capital: float,
    span: Span,
    trades: Numbers,
    counts: Integers,
    scratch: tuple[Numbers, Numbers],
    values: Numbers,
    reasons: Bytes,
) -> bool:
    """Write every metric and its reason; return whether all that have a value are finite.

    `equity` holds the closes of the window, at least one; `capital` comes before them. `trades` are
    the rows of the trade table in use, `counts` what the engine counted. `scratch` has room for a
    return per bar, and for one per day. `values` and `reasons` have a place per `Metric`; reasons
    must be 0.
    """
    mean = measure_bars(equity, capital, span.bars_per_year, scratch[0], values, reasons)
    if measure_days(equity, capital, span.midnights, scratch[1], values, reasons):
        measure_distribution(scratch[1], values, reasons)
    _measure_growth(capital, span.days, values, reasons)
    closed = len(trades)
    if closed > 0 and trades[closed - 1, EXIT_BAR] < 0.0:
        closed -= 1
    measure_trades(trades[:closed], values, reasons)
    measure_activity(trades, counts, len(equity), mean, values)
    for metric in range(len(values)):
        if reasons[metric] == 0 and not abs(values[metric]) < np.inf:
            return False
    return True
