"""The reference work: 2,500 moving-average crossovers over a year of hourly bars.

Plain: long only, full equity, a fee. General: the same crossings, half of the sets on both sides,
with stop, target, trailing stop and leverage drawn for every set, and funding.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
from assay.market.v1 import candles_pb2

from services.common.intervals import Interval

INTERVAL: Final = Interval.HOUR_1
BARS: Final = 8_760
LOOKBACK: Final = 216
"""What the slowest average and its crossing need."""
FEE_BPS: Final = 10.0
CAPITAL: Final = 10_000.0
FUNDING_HOURS: Final = 8
FUNDING_RATIO: Final = 1e-4
PLAIN_METRICS: Final = (
    "total_return_ratio",
    "bar_sharpe_ratio",
    "max_drawdown_ratio",
    "trade_count",
    "win_rate_ratio",
)
GENERAL_METRICS: Final = (*PLAIN_METRICS, "exposure_ratio", "fees_quote", "funding_quote")
_SEED: Final = 1

Periods = npt.NDArray[np.int64]
Request = backtest_service_pb2.RunBacktestBatchRequest


def periods() -> tuple[Periods, Periods]:
    """Return the fast and the slow period of every set, shape (2500,) each."""
    fast, slow = np.meshgrid(np.arange(5, 55), np.arange(20, 220, 4), indexing="ij")
    return fast.ravel(), slow.ravel()


def plain_request(snapshot: candles_pb2.CandleSnapshot) -> Request:
    """Return the plain grid as one request."""
    request = crossovers(snapshot, *periods())
    request.metrics.extend(PLAIN_METRICS)
    return request


def general_requests(snapshot: candles_pb2.CandleSnapshot) -> list[Request]:
    """Return the general grid, a request for each direction; funding comes with the frame.

    Half of the sets, drawn at random, take both sides, the others are long only.
    """
    rng = np.random.default_rng(_SEED)
    fast, slow = periods()
    halves = np.array_split(rng.permutation(len(fast)), 2)
    directions = (strategy_pb2.DIRECTION_BOTH, strategy_pb2.DIRECTION_LONG)
    requests = []
    for direction, sets in zip(directions, halves, strict=True):
        request = crossovers(snapshot, fast[sets], slow[sets])
        request.strategy.direction = direction
        request.metrics.extend(GENERAL_METRICS)
        for name, least, most in (
            ("stop_loss_ratio", 0.01, 0.1),
            ("take_profit_ratio", 0.02, 0.2),
            ("trailing_stop_ratio", 0.02, 0.1),
            ("leverage", 1.0, 3.0),
        ):
            drawn = rng.uniform(least, most, len(sets)).tolist()
            request.columns.add(name=name).double_values.values.extend(drawn)
        requests.append(request)
    return requests


def crossovers(snapshot: candles_pb2.CandleSnapshot, fast: Periods, slow: Periods) -> Request:
    """Return a request for crossovers of simple means, without metrics yet."""
    request = Request(
        snapshot=snapshot,
        strategy=strategy_pb2.StrategyChoice(name="strategies/ma_crossover"),
        set_count=len(fast),
    )
    for name, column in (("fast_period", fast), ("slow_period", slow)):
        request.columns.add(name=name).int_values.values.extend(column.tolist())
    request.execution.taker_fee_bps = FEE_BPS
    request.execution.initial_capital_quote = CAPITAL
    return request
