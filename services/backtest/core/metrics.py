"""The metrics: their names, their places, and the reasons for which one may have no value."""

from __future__ import annotations

import enum
from typing import Final


class Metric(enum.IntEnum):
    """Place of each metric, in the field order of `Metrics` in the contract."""

    TOTAL_RETURN_RATIO = 0
    NET_PROFIT_QUOTE = 1
    FINAL_EQUITY_QUOTE = 2
    CAGR_RATIO = 3
    SHARPE_RATIO = 4
    BAR_SHARPE_RATIO = 5
    SORTINO_RATIO = 6
    CALMAR_RATIO = 7
    OMEGA_RATIO = 8
    ANNUALIZED_VOLATILITY_RATIO = 9
    MAX_DRAWDOWN_RATIO = 10
    MAX_DRAWDOWN_DURATION_BARS = 11
    MAX_DRAWDOWN_RECOVERED = 12
    ULCER_INDEX_RATIO = 13
    VALUE_AT_RISK_95_RATIO = 14
    CONDITIONAL_VALUE_AT_RISK_95_RATIO = 15
    TAIL_RATIO = 16
    SKEWNESS = 17
    EXCESS_KURTOSIS = 18
    TRADE_COUNT = 19
    LONG_TRADE_COUNT = 20
    SHORT_TRADE_COUNT = 21
    WIN_RATE_RATIO = 22
    LONG_WIN_RATE_RATIO = 23
    SHORT_WIN_RATE_RATIO = 24
    LONG_NET_PROFIT_QUOTE = 25
    SHORT_NET_PROFIT_QUOTE = 26
    PROFIT_FACTOR = 27
    EXPECTANCY_QUOTE = 28
    SQN = 29
    AVERAGE_WIN_QUOTE = 30
    AVERAGE_LOSS_QUOTE = 31
    LARGEST_WIN_QUOTE = 32
    LARGEST_LOSS_QUOTE = 33
    MAX_CONSECUTIVE_WINS = 34
    MAX_CONSECUTIVE_LOSSES = 35
    AVERAGE_BARS_HELD = 36
    MAX_BARS_HELD = 37
    AVERAGE_ADVERSE_EXCURSION_RATIO = 38
    AVERAGE_FAVORABLE_EXCURSION_RATIO = 39
    EXPOSURE_RATIO = 40
    TURNOVER_RATIO = 41
    FEES_QUOTE = 42
    FUNDING_QUOTE = 43
    AMBIGUOUS_BAR_COUNT = 44
    GAP_FILL_COUNT = 45
    REJECTED_ORDER_COUNT = 46
    CONFLICTING_ENTRY_COUNT = 47
    BUST = 48
    LIQUIDATION_COUNT = 49
    LIQUIDATION_LOSS_QUOTE = 50
    RESOLVED_BAR_COUNT = 51
    ADDED_ENTRY_COUNT = 52


METRIC_NAMES: Final = tuple(metric.name.lower() for metric in Metric)
"""Names of all metrics, in the order of their places."""

INTEGER_METRICS: Final = frozenset(
    metric.name.lower()
    for metric in (
        Metric.MAX_DRAWDOWN_DURATION_BARS,
        Metric.MAX_DRAWDOWN_RECOVERED,
        Metric.TRADE_COUNT,
        Metric.LONG_TRADE_COUNT,
        Metric.SHORT_TRADE_COUNT,
        Metric.MAX_CONSECUTIVE_WINS,
        Metric.MAX_CONSECUTIVE_LOSSES,
        Metric.MAX_BARS_HELD,
        Metric.AMBIGUOUS_BAR_COUNT,
        Metric.GAP_FILL_COUNT,
        Metric.REJECTED_ORDER_COUNT,
        Metric.CONFLICTING_ENTRY_COUNT,
        Metric.BUST,
        Metric.LIQUIDATION_COUNT,
        Metric.RESOLVED_BAR_COUNT,
        Metric.ADDED_ENTRY_COUNT,
    )
)
"""Names of the metrics that are whole numbers."""


class UndefinedReason(enum.IntEnum):
    """Why a metric has no value; numbers of the contract, 0 where it has one."""

    DEFINED = 0
    TOO_FEW_OBSERVATIONS = 1
    NO_VARIANCE = 2
    NO_TRADES = 3
    NO_LOSSES = 4
    NO_DRAWDOWN = 5
    RUINED = 6
    SET_FAILED = 7
    NO_WINS = 8
