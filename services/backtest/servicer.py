"""The BacktestService: messages outside, plain Python inside. Errors are common.status's matter."""
# ruff: noqa: N802, ARG002 - names and arguments are the contract's

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import grpc
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import backtest_service_pb2_grpc, stress_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.backtest.convert.answers import batch_response, check_response, run_response
from services.backtest.convert.catalog import indicators_page, strategies_page
from services.backtest.convert.jobs import batch_job, check_job, run_job
from services.backtest.convert.loaded_frame import LoadedFrame
from services.backtest.convert.series import NO_SERIES, SeriesChoices
from services.backtest.convert.snapshots import SnapshotChoice
from services.backtest.convert.stress import stress_job, stress_response
from services.backtest.convert.wanted_returns import returns_violations
from services.backtest.core import batch, look_ahead, single
from services.backtest.core.execution import Execution
from services.backtest.core.sets.history import required_lookback
from services.backtest.core.sets.one_set import lookback
from services.backtest.core.stress.testing import stress
from services.backtest.core.version import code_version
from services.backtest.slots import Slots
from services.common.errors import refuse
from services.common.intervals import Interval

# Quoted: only the stubs know it as generic.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


COMPUTE_NS_KEY = "x-compute-ns"


class FrameSource(Protocol):
    """Where candles come from."""

    async def load(self, choice: SnapshotChoice, series: SeriesChoices = NO_SERIES) -> LoadedFrame:
        """Return the frame of a snapshot whose lookback is set, with series beside it.

        The same object for the same content, as long as it is held; AssayError when there is none.
        """

    def cached_digests(self) -> Sequence[str]:
        """Return the digests of the frames held, most recently used first."""


class BacktestServicer(backtest_service_pb2_grpc.BacktestServiceServicer):
    """Answers the RPCs of one worker."""

    def __init__(self, frames: FrameSource, slots: Slots, start_time: Timestamp) -> None:
        self._frames = frames
        self._slots = slots
        self._start_time = start_time
        self._finished_sets = 0
        self._finished_bars = 0

    @property
    def finished(self) -> tuple[int, int]:
        """Parameter sets run since the start, and bars run for them."""
        return self._finished_sets, self._finished_bars

    def _count(self, set_count: int, bar_count: int) -> None:
        self._finished_sets += set_count
        self._finished_bars += set_count * bar_count

    async def ListStrategies(
        self, request: pb.ListStrategiesRequest, context: Context
    ) -> pb.ListStrategiesResponse:
        """List the strategies with their parameters."""
        return strategies_page(request)

    async def ListIndicators(
        self, request: pb.ListIndicatorsRequest, context: Context
    ) -> pb.ListIndicatorsResponse:
        """List the functions of the expression language that give a number per bar."""
        return indicators_page(request)

    async def CheckLookAhead(
        self, request: pb.CheckLookAheadRequest, context: Context
    ) -> pb.CheckLookAheadResponse:
        """Compute signals again on shorter frames and tell what differs."""
        job = check_job(request)
        choice = await _with_lookback(
            job.choice,
            lambda interval: lookback(
                job.strategy, job.direction, job.values, Execution(), interval
            ),
        )
        loaded = await self._frames.load(choice)

        def work(_: threading.Event) -> pb.CheckLookAheadResponse:
            result = look_ahead.check(
                loaded.frame, job.strategy, job.direction, job.values, job.cut_count
            )
            return check_response(loaded, result)

        return await self._slots.run(work)

    async def RunBacktest(
        self, request: pb.RunBacktestRequest, context: Context
    ) -> pb.RunBacktestResponse:
        """Run one parameter set."""
        job = run_job(request)
        choice = await _with_lookback(
            job.choice,
            lambda interval: lookback(
                job.strategy, job.direction, job.values, job.execution, interval
            ),
        )
        loaded = (await self._frames.load(choice, job.series)).first_bars(job.bar_limit)
        refuse(job.curve_violations(loaded.frame.bar_count))

        def work(_: threading.Event) -> pb.RunBacktestResponse:
            result = single.run(
                loaded.frame, job.strategy, job.direction, job.values, job.execution
            )
            return run_response(job, loaded, result)

        response = await self._slots.run(work)
        self._count(1, loaded.frame.bar_count)
        return response

    async def RunBacktestBatch(
        self, request: pb.RunBacktestBatchRequest, context: Context
    ) -> pb.RunBacktestBatchResponse:
        """Run many parameter sets on one frame; a cancelled call stops after the chunk in hand."""
        job = batch_job(request)
        choice = await _with_lookback(
            job.choice,
            lambda interval: required_lookback(
                job.strategy, job.direction, job.sets, job.execution, interval
            ),
        )
        loaded = await self._frames.load(choice, job.series)
        if job.bar_permutation_seed is not None:
            loaded = await asyncio.to_thread(loaded.permuted, job.bar_permutation_seed)
        loaded = loaded.first_bars(job.bar_limit)
        refuse(returns_violations(job, loaded.frame))

        def work(cancelled: threading.Event) -> tuple[pb.RunBacktestBatchResponse, int]:
            began_ns = time.monotonic_ns()
            result = batch.evaluate(
                loaded.frame,
                job.strategy,
                job.direction,
                job.sets,
                job.execution,
                job.metrics,
                cancelled.is_set,
                job.returns,
            )
            response = batch_response(job, loaded, result)
            return response, time.monotonic_ns() - began_ns

        response, compute_ns = await self._slots.run(work)
        # Beside the answer, not in it: equal requests have equal answers.
        context.set_trailing_metadata(
            (*(context.trailing_metadata() or ()), (COMPUTE_NS_KEY, str(compute_ns)))
        )
        self._count(request.set_count, loaded.frame.bar_count)
        return response

    async def RunStressTest(
        self, request: stress_pb2.RunStressTestRequest, context: Context
    ) -> stress_pb2.RunStressTestResponse:
        """Run one parameter set under worse conditions; a cancelled call stops after a run."""
        job = stress_job(request)
        run = job.run
        choice = await _with_lookback(
            run.choice,
            lambda interval: lookback(
                run.strategy, run.direction, run.values, run.execution, interval
            ),
        )
        loaded = await self._frames.load(choice, run.series)

        def work(cancelled: threading.Event) -> stress_pb2.RunStressTestResponse:
            result = stress(loaded.frame, job.subject, job.plan, cancelled.is_set)
            return stress_response(job, loaded, result)

        response = await self._slots.run(work)
        self._count(1, loaded.frame.bar_count)
        return response

    async def GetWorkerStatus(
        self, request: pb.GetWorkerStatusRequest, context: Context
    ) -> pb.GetWorkerStatusResponse:
        """Say what this worker is doing."""
        return pb.GetWorkerStatusResponse(
            slot_count=self._slots.count,
            busy_slot_count=self._slots.busy,
            queued_batch_count=self._slots.queued,
            cached_content_digests=self._frames.cached_digests(),
            code_version=code_version(),
            finished_set_count=self._finished_sets,
            start_time=self._start_time,
        )


async def _with_lookback(
    choice: SnapshotChoice, needed: Callable[[Interval], int]
) -> SnapshotChoice:
    """Return a choice with the lookback a strategy needs where none is asked for.

    Over many sets that takes longer than the event loop may be kept waiting.
    """
    if choice.lookback is not None:
        return choice
    return await asyncio.to_thread(choice.with_lookback, needed)
