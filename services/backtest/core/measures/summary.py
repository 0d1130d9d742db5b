"""All metrics of one run."""

from __future__ import annotations

import numpy as np

from services.backtest.core.curve import Curve
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner
from services.backtest.core.ledger import BUSTS, EXIT_BAR
from services.backtest.core.market import Span
from services.backtest.core.measures.curve import (
    measure_bar_sharpe,
    measure_drawdown,
    measure_final,
    measure_growth,
)
from services.backtest.core.measures.days import measure_days
from services.backtest.core.measures.distribution import measure_distribution
from services.backtest.core.measures.trades import (
    measure_activity,
    measure_excursions,
    measure_trades,
    measure_turnover,
)
from services.backtest.core.measures.wants import (
    DAYS,
    DISTRIBUTION,
    EXCURSIONS,
    GROWTH,
    TRADES,
    TURNOVER,
)


@inner
def measure_run(
    curve: Curve,
    bars: int,
    ruin: int,
    capital: float,
    span: Span,
    levels: Numbers,
    returns: Numbers,
    trades: Numbers,
    counts: Integers,
    wants: int,
    values: Numbers,
    reasons: Bytes,
) -> bool:
    """Write the metrics wanted, and those always measured, with their reasons.

    Returns whether all that have a value are finite. `curve` is that of the whole window of `bars`
    bars; `ruin` the bar of the ruin, the last one without. `levels` are equity at the span's
    midnights, where days are wanted; `returns`, one shorter, is filled. `trades` are the rows of
    the trade table in use, `counts` what the engine counted. `values` and `reasons` have a place
    per `Metric` and must be 0; what is not wanted stays so.
    """
    measure_final(curve.previous, capital, values)
    measure_drawdown(curve, bars, values, reasons)
    ruined = counts[BUSTS] > 0 and ruin < bars - 1
    measure_bar_sharpe(curve, bars, ruined, span.bars_per_year, values, reasons)
    if wants & GROWTH:
        measure_growth(capital, span.days, values, reasons)
    if wants & DAYS:
        whole = measure_days(levels, returns, values, reasons, wants)
        if whole and wants & DISTRIBUTION:
            measure_distribution(returns, values, reasons)
    closed = len(trades)
    if closed > 0 and trades[closed - 1, EXIT_BAR] < 0.0:
        closed -= 1
    if wants & TRADES:
        measure_trades(trades[:closed], values, reasons)
    if wants & EXCURSIONS:
        measure_excursions(trades[:closed], values, reasons)
    measure_activity(trades, counts, bars, values)
    if wants & TURNOVER:
        measure_turnover(trades, curve.total / bars, values)
    for metric in range(len(values)):
        if reasons[metric] == 0 and not abs(values[metric]) < np.inf:
            return False
    return True
