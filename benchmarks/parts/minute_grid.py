"""Long series: 100 crossovers over four years of one-minute bars, seldom in the market.

Means of 1 to 10 hours cross those of 20 to 200 hours; a stop of 0.5 % and a target of 1 % end most
trades within two hours.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from assay.market.v1 import candles_pb2

from benchmarks.parts.reference_grid import PLAIN_METRICS, Request, crossovers
from services.common.intervals import Interval

INTERVAL: Final = Interval.MINUTE_1
BARS: Final = 1_460 * 24 * 60
LOOKBACK: Final = 12_001
METRICS: Final = (*PLAIN_METRICS, "exposure_ratio")


def minute_request(snapshot: candles_pb2.CandleSnapshot) -> Request:
    """Return all sets as one request."""
    fast, slow = np.meshgrid(np.arange(60, 660, 60), np.arange(1_200, 13_200, 1_200), indexing="ij")
    request = crossovers(snapshot, fast.ravel(), slow.ravel())
    request.execution.stop_loss_ratio = 0.005
    request.execution.take_profit_ratio = 0.01
    request.metrics.extend(METRICS)
    return request
