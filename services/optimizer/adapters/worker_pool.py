"""Evaluates points on any number of workers behind one balanced channel.

The points of a generation go out in chunks, as many at once as the pool allows; outcomes come back
by index, so neither the cutting nor the workers nor the order of the answers shows in them. What
is lost with a worker is sent again, for as long as it takes. A chunk that keeps breaking while
workers answer is halved until the set to blame stands alone, and that one is given up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import backtest_service_pb2_grpc
from assay.optimizer.v1 import study_pb2

from services.optimizer.adapters.batch_messages import BatchMaker, outcomes_of
from services.optimizer.adapters.worker_failures import Failure, FailureKind, judged
from services.optimizer.adapters.worker_pace import OutageLog, Pace
from services.optimizer.core.trial import Outcome, Point

SPLIT_AFTER = 3
"""Broken calls of one chunk, with workers answering between them, before it is halved."""

GIVE_UP_AFTER = 5
"""The same for a single set, before it is recorded as failed."""

COMPUTE_NS_KEY = "x-compute-ns"
"""Metadata in which a worker tells what a call cost, without its waiting."""

STATUS_SECONDS = 5.0
"""Deadline of the question whether a worker is there."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    start: int
    stop: int
    strikes: int = 0

    @property
    def set_count(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the pool waits for what, in seconds.

    Attributes:
        call_seconds: Deadline of a call, doubled with each time its chunk broke.
        first_pause_seconds: Mean pause before a call is repeated; doubled each time.
        longest_pause_seconds: Largest mean pause.
    """

    call_seconds: float = 120.0
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0

    def pause_seconds(self, attempt: int) -> float:
        """Return the pause before an attempt, from 0, half to one and a half times its mean."""
        mean = min(self.first_pause_seconds * 2.0 ** min(attempt, 16), self.longest_pause_seconds)
        return mean * random.uniform(0.5, 1.5)  # noqa: S311 - spreads repeats, guards nothing


class WorkerPool:
    """The workers behind a channel, shared by all studies of the process."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        max_in_flight: int = 16,
        patience: Patience = Patience(),
    ) -> None:
        """Use a channel that balances over the workers; at most `max_in_flight` calls at once."""
        self.stub = backtest_service_pb2_grpc.BacktestServiceStub(channel)
        self.max_in_flight = max_in_flight
        self.places = asyncio.Semaphore(max_in_flight)
        self.patience = patience
        self.outages = OutageLog()

    def workers_for(self, spec: study_pb2.StudySpec) -> StudyWorkers:
        """Return the workers as one study uses them; its data must be pinned."""
        return StudyWorkers(self, BatchMaker(spec))


class StudyWorkers:
    """A `Workers` port for the points of one study."""

    def __init__(self, pool: WorkerPool, maker: BatchMaker) -> None:
        self._pool = pool
        self._maker = maker
        self._pace = Pace()

    async def evaluate(self, points: Sequence[Point]) -> list[Outcome]:
        """Return one outcome per point, in the order of the points.

        Waits for workers as long as it takes; cancelling it cancels its calls.

        Raises:
            AssayError: what a worker refuses for all points alike (data changed, bad request), with
                the domain of who says so.
        """
        work = _Evaluation(self._pool, self._maker, self._pace, points)
        try:
            async with asyncio.TaskGroup() as group:
                work.start(group)
        except ExceptionGroup as failed:
            # One refusal is enough; the others are of the same request.
            raise failed.exceptions[0] from failed
        return work.outcomes


class _Evaluation:
    """One generation on its way."""

    def __init__(
        self, pool: WorkerPool, maker: BatchMaker, pace: Pace, points: Sequence[Point]
    ) -> None:
        self._pool = pool
        self._maker = maker
        self._pace = pace
        self._points = points
        self._cut_until = 0
        self.outcomes = [Outcome()] * len(points)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Set as many lanes to work as the pool allows."""
        self._group = group
        for _ in range(min(self._pool.max_in_flight, len(self._points))):
            group.create_task(self._lane())

    async def _lane(self) -> None:
        while True:
            async with self._pool.places:
                # Cut only now, by what the calls before have taught.
                chunk = self._cut()
                if chunk is None:
                    return
                failure = await self._attempt(chunk)
            await self._insist(chunk, failure)

    async def _insist(self, chunk: _Chunk, failure: Failure | None) -> None:
        attempt = 0
        while failure is not None:
            remaining = await self._after(chunk, failure, attempt)
            if remaining is None:
                return
            chunk, attempt = remaining, attempt + 1
            async with self._pool.places:
                failure = await self._attempt(chunk)

    def _cut(self) -> _Chunk | None:
        start = self._cut_until
        stop = min(start + self._pace.set_count, len(self._points))
        self._cut_until = stop
        return _Chunk(start, stop) if start < stop else None

    async def _attempt(self, chunk: _Chunk) -> Failure | None:
        clock = asyncio.get_running_loop()
        begun = clock.time()
        request = self._maker.request(self._points[chunk.start : chunk.stop])
        try:
            call = self._pool.stub.RunBacktestBatch(
                request, timeout=self._pool.patience.call_seconds * 2**chunk.strikes
            )
            response = await call
            told = dict(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            failure = judged(error)
            if failure.kind in {FailureKind.LOST, FailureKind.BUSY}:
                self._pool.outages.failed(begun, clock.time(), failure.message)
            return failure
        if COMPUTE_NS_KEY in told:
            self._pace.learn(chunk.set_count, int(told[COMPUTE_NS_KEY]) / 1e9)
        self._pool.outages.answered(clock.time())
        self.outcomes[chunk.start : chunk.stop] = outcomes_of(response, chunk.set_count)
        return None

    async def _after(self, chunk: _Chunk, failure: Failure, attempt: int) -> _Chunk | None:
        """Wait, and return what is to be sent again; None where nothing is."""
        pause = self._pool.patience.pause_seconds(attempt)
        await asyncio.sleep(max(pause, failure.retry_after_seconds))
        if failure.kind is FailureKind.BUSY:
            return chunk
        # Only a worker that answers tells a chunk that kills from workers that are away.
        await self._worker_answers()
        strikes = chunk.strikes + 1
        if chunk.set_count == 1:
            if strikes < GIVE_UP_AFTER:
                return _Chunk(chunk.start, chunk.stop, strikes)
            self.outcomes[chunk.start] = Outcome(
                failure_reason="SET_FAILED",
                failure_message=f"no worker could run it, {strikes} were tried: {failure.message}",
            )
            return None
        if strikes < SPLIT_AFTER and failure.kind is not FailureKind.LATE:
            return _Chunk(chunk.start, chunk.stop, strikes)
        middle = (chunk.start + chunk.stop) // 2
        # A half that breaks once more is halved again at once; the innocent one just runs.
        other = _Chunk(middle, chunk.stop, SPLIT_AFTER - 1)
        self._group.create_task(self._resend(other))
        return _Chunk(chunk.start, middle, SPLIT_AFTER - 1)

    async def _resend(self, chunk: _Chunk) -> None:
        async with self._pool.places:
            failure = await self._attempt(chunk)
        await self._insist(chunk, failure)

    async def _worker_answers(self) -> None:
        attempt = 0
        while True:
            try:
                await self._pool.stub.GetWorkerStatus(
                    pb.GetWorkerStatusRequest(), timeout=STATUS_SECONDS
                )
            except grpc.aio.AioRpcError:
                await asyncio.sleep(self._pool.patience.pause_seconds(attempt))
                attempt += 1
            else:
                return
