"""Runs the windows' winners out of sample; remembers the runs used last."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import metrics_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.values import assignments
from services.optimizer.convert.walk_forward import interval_of
from services.optimizer.convert.walk_forward_spans import put_span
from services.optimizer.core.trial import Trial
from services.optimizer.core.walk_forward.evidence import OutOfSample

MOST_HELD_BARS: Final = 2_000_000
"""Bars of the runs remembered, 16 bytes each."""

_AT_ONCE: Final = 4

Run: TypeAlias = Callable[[pb.RunBacktestRequest], Awaitable[pb.RunBacktestResponse]]
Found: TypeAlias = tuple[OutOfSample, metrics_pb2.Metrics]
"""A run as the core sees it, and all its metrics."""


class OutOfSampleRuns:
    """The winners' runs over bars their search did not see, by one backtest each."""

    def __init__(self, run: Run, most_held_bars: int = MOST_HELD_BARS) -> None:
        """Run backtests with this function; it raises what the workers say."""
        self._run = run
        self._most = most_held_bars
        self._held: OrderedDict[bytes, Found] = OrderedDict()

    async def of(self, spec: study_pb2.StudySpec, winners: Sequence[Trial]) -> list[Found]:
        """Return the runs of winners of a pinned study, in their order; equal ones are run once.

        Raises:
            AssayError: what a worker, or the data service, says of the first run that failed.
        """
        places = asyncio.Semaphore(_AT_ONCE)

        async def found(key: bytes) -> Found:
            async with places:
                return await self._found(key, spec)

        requests = [out_of_sample_request(spec, winner) for winner in winners]
        keys = [request.SerializeToString(deterministic=True) for request in requests]
        try:
            async with asyncio.TaskGroup() as group:
                # Cells of a matrix share spans, and often winners.
                tasks = {key: group.create_task(found(key)) for key in dict.fromkeys(keys)}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [tasks[key].result() for key in keys]

    async def _found(self, key: bytes, spec: study_pb2.StudySpec) -> Found:
        if key not in self._held:
            request = pb.RunBacktestRequest.FromString(key)
            self._held[key] = _read(await self._run(request), spec)
        self._held.move_to_end(key)
        found = self._held[key]
        bars = sum(len(run.close_ms) for run, _ in self._held.values())
        while bars > self._most and len(self._held) > 1:
            bars -= len(self._held.popitem(last=False)[1][0].close_ms)
        return found


def out_of_sample_request(spec: study_pb2.StudySpec, winner: Trial) -> pb.RunBacktestRequest:
    """Return the backtest of a winner over the out-of-sample span of its window."""
    request = pb.RunBacktestRequest(
        strategy=spec.strategy,
        parameters=assignments(winner.parameters),
        execution=spec.execution,
        detail=pb.DETAIL_EQUITY_CURVE,
    )
    window = spec.walk_forward.windows[winner.number % len(spec.walk_forward.windows)]
    put_span(request, window.out_of_sample, close_at_end=True)
    return request


def _read(response: pb.RunBacktestResponse, spec: study_pb2.StudySpec) -> Found:
    metrics, curve = response.metrics, response.equity_curve
    interval = interval_of(spec.data[0])
    if interval is None:
        raise ValueError("only candles are walked over")
    run = OutOfSample(
        total_return_ratio=metrics.total_return_ratio,
        net_profit_quote=metrics.net_profit_quote,
        sharpe_ratio=metrics.sharpe_ratio if metrics.HasField("sharpe_ratio") else None,
        trade_count=metrics.trade_count,
        close_ms=np.array(list(map(interval.next_open_ms, curve.open_time_ms)), np.int64),
        equity_quote=np.array(curve.equity_quote, np.float64),
    )
    return run, metrics
