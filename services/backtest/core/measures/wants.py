"""Which metrics are asked for, by groups that are measured together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.backtest.core.metrics import METRIC_NAMES, Metric

GROWTH: Final = 1
DAYS: Final = 2
DISTRIBUTION: Final = 4
TRADES: Final = 8
EXCURSIONS: Final = 16
CONFLICTS: Final = 32
SPREAD: Final = 64
SHORTFALL: Final = 128
ULCER: Final = 256
TURNOVER: Final = 512
ALL_DAYS: Final = DAYS | SPREAD | SHORTFALL | ULCER
ALL_WANTS: Final = 1023

_GROUPS: Final = {
    GROWTH: (Metric.CAGR_RATIO, Metric.CALMAR_RATIO),
    DAYS | SPREAD: (Metric.SHARPE_RATIO, Metric.ANNUALIZED_VOLATILITY_RATIO),
    DAYS | SHORTFALL: (Metric.SORTINO_RATIO, Metric.OMEGA_RATIO),
    DAYS | ULCER: (Metric.ULCER_INDEX_RATIO,),
    DAYS | DISTRIBUTION: (
        Metric.VALUE_AT_RISK_95_RATIO,
        Metric.CONDITIONAL_VALUE_AT_RISK_95_RATIO,
        Metric.TAIL_RATIO,
        Metric.SKEWNESS,
        Metric.EXCESS_KURTOSIS,
    ),
    TRADES: tuple(Metric(place) for place in range(Metric.TRADE_COUNT, Metric.MAX_BARS_HELD + 1)),
    EXCURSIONS: (
        Metric.AVERAGE_ADVERSE_EXCURSION_RATIO,
        Metric.AVERAGE_FAVORABLE_EXCURSION_RATIO,
    ),
    CONFLICTS: (Metric.CONFLICTING_ENTRY_COUNT,),
    TURNOVER: (Metric.TURNOVER_RATIO,),
}
_WANTS: Final = {
    METRIC_NAMES[metric]: wants for wants, metrics in _GROUPS.items() for metric in metrics
}


def wants_of(names: Iterable[str]) -> int:
    """Return the groups that hold the metrics, as bits; metrics in no group are always measured."""
    wants = 0
    for name in names:
        wants |= _WANTS.get(name, 0)
    return wants
