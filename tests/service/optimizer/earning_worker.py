"""A scripted worker whose runs of one set have equity: out of sample a walk really earns."""

# ruff: noqa: N802 - the contract gives the names

from __future__ import annotations

from typing import Any

import numpy as np
from assay.backtest.v1 import backtest_service_pb2 as pb

from services.common.frames_codec import ms_from_timestamp
from tests.service.optimizer.scripted_worker import ScriptedWorker

HOUR_MS = 3_600_000
CAPITAL = 10_000.0


class EarningWorker(ScriptedWorker):
    """Equity is noise of each span's own with a drift of the slow period's."""

    async def RunBacktest(
        self, request: pb.RunBacktestRequest, context: Any
    ) -> pb.RunBacktestResponse:
        """Return metrics, and the equity curve where it is asked for."""
        response = await super().RunBacktest(request, context)
        if request.detail != pb.DETAIL_EQUITY_CURVE:
            return response
        window = request.snapshot.window
        begin, end = ms_from_timestamp(window.start_time), ms_from_timestamp(window.end_time)
        opens = range(begin, end, HOUR_MS)
        periods = {one.name: one.value.int_value for one in request.parameters}
        drawn = np.random.default_rng([begin // HOUR_MS, periods["slow_period"]])
        returns = drawn.normal(2e-5, 0.002, len(opens))
        equity = CAPITAL * np.cumprod(1 + returns)
        response.equity_curve.open_time_ms.extend(opens)
        response.equity_curve.equity_quote.extend(equity.tolist())
        response.metrics.total_return_ratio = float(equity[-1] / CAPITAL - 1)
        response.metrics.net_profit_quote = float(equity[-1] - CAPITAL)
        response.metrics.trade_count = 9
        return response
