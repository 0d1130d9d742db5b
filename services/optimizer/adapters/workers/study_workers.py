"""Evaluates points on any number of workers behind one balanced channel.

The points of a generation go out in chunks, as many at once as the pool allows; outcomes come back
by index, so neither the cutting nor the workers nor the order of the answers shows in them. What
is lost with a worker is sent again, for as long as it takes. A chunk that keeps breaking while
workers answer is halved until the set to blame stands alone, and that one is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import grpc
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.optimizer.adapters.workers.batch_messages import BatchMaker, Part, outcomes_of
from services.optimizer.adapters.workers.worker_failures import Failure, FailureKind, judged
from services.optimizer.adapters.workers.worker_pace import Pace
from services.optimizer.adapters.workers.worker_pool import Patience, WorkerPool
from services.optimizer.core.study.rungs import TRIAL_TIMED_OUT
from services.optimizer.core.trial import Outcome, Point

SPLIT_AFTER = 3
"""Broken calls of one chunk, with workers answering between them, before it is halved."""

GIVE_UP_AFTER = 5
"""The same for a single set, before it is recorded as failed."""

TIME_OUT_AFTER = 2
"""Times a single set may take too long, where its study limits the time of a trial."""

COMPUTE_NS_KEY = "x-compute-ns"
"""Metadata in which a worker tells what a call cost, without its waiting."""

STATUS_SECONDS = 5.0
"""Deadline of the question whether a worker is there."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    start: int
    stop: int
    strikes: int = 0
    lates: int = 0

    @property
    def set_count(self) -> int:
        return self.stop - self.start


class StudyWorkers:
    """A `Workers` port for the points of one study."""

    @classmethod
    def of(
        cls, pool: WorkerPool, spec: study_pb2.StudySpec, bar_permutation_seed: int | None = None
    ) -> Self:
        """Return the workers of a study; the data of its spec must be pinned.

        With a seed they run on the study's bars in its order.
        """
        timed = spec.HasField("trial_timeout")
        seconds = spec.trial_timeout.ToMilliseconds() / 1000 if timed else None
        return cls(pool, BatchMaker(spec, bar_permutation_seed), seconds)

    def __init__(
        self, pool: WorkerPool, maker: BatchMaker, trial_seconds: float | None = None
    ) -> None:
        """Use a pool; `trial_seconds` is the longest time of one trial, None where it has none."""
        self._pool = pool
        self._maker = maker
        self._trial_seconds = trial_seconds
        # Parts of the window cost less than all of it, and datasets are not equally long; the
        # windows of a walk forward cost about the same, and what one has taught serves the others.
        self._paces: dict[tuple[int | None, int | None], Pace] = {}

    async def evaluate(
        self,
        points: Sequence[Point],
        bar_limit: int | None = None,
        window_number: int | None = None,
        dataset_number: int | None = None,
    ) -> list[Outcome]:
        """Return one outcome per point, in the order of the points; see the port.

        Waits for workers as long as it takes; cancelling it cancels its calls.

        Raises:
            AssayError: what a worker refuses for all points alike (data changed, bad request), with
                the domain of who says so.
        """
        pace = self._paces.setdefault((bar_limit, dataset_number), Pace())
        part = Part(bar_limit, window_number, dataset_number)
        task = _Task(self._maker, pace, points, part, self._trial_seconds)
        work = _Evaluation(self._pool, task)
        self._pool.loads.add(work)
        try:
            async with asyncio.TaskGroup() as group:
                work.start(group)
        except ExceptionGroup as failed:
            # One refusal is enough; the others are of the same request.
            raise failed.exceptions[0] from failed
        finally:
            self._pool.loads.remove(work)
        return work.outcomes


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be run, and how."""

    maker: BatchMaker
    pace: Pace
    points: Sequence[Point]
    part: Part
    trial_seconds: float | None

    def request(self, chunk: _Chunk) -> pb.RunBacktestBatchRequest:
        return self.maker.request(self.points[chunk.start : chunk.stop], self.part)

    def call_seconds(self, chunk: _Chunk, patience: Patience) -> float:
        """Return the deadline of a call: waiting for a slot is in it, so it leaves room."""
        usual = patience.call_seconds * 2.0**chunk.strikes
        return max(usual, 2.0 * (self.trial_seconds or 0.0) * chunk.set_count)

    def is_late(self, seconds: float) -> bool:
        """Whether a call computed for longer than a trial may, so that one of its sets may have."""
        return self.trial_seconds is not None and seconds > self.trial_seconds


class _Evaluation:
    """One generation on its way."""

    def __init__(self, pool: WorkerPool, task: _Task) -> None:
        self._pool = pool
        self._task = task
        self._cut_until = 0
        self._finished = 0
        self.flying_set_count = 0
        self.outcomes = [Outcome()] * len(task.points)

    @property
    def waiting_set_count(self) -> int:
        """Sets that no worker has."""
        return len(self.outcomes) - self._finished - self.flying_set_count

    def start(self, group: asyncio.TaskGroup) -> None:
        """Set as many lanes to work as the pool allows."""
        self._group = group
        for _ in range(min(self._pool.max_in_flight, len(self._task.points))):
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
                self._finished += chunk.set_count
                return
            chunk, attempt = remaining, attempt + 1
            async with self._pool.places:
                failure = await self._attempt(chunk)

    def _cut(self) -> _Chunk | None:
        start = self._cut_until
        stop = min(start + self._task.pace.set_count, len(self._task.points))
        self._cut_until = stop
        return _Chunk(start, stop) if start < stop else None

    async def _attempt(self, chunk: _Chunk) -> Failure | None:
        self.flying_set_count += chunk.set_count
        try:
            failure = await self._call(chunk)
        finally:
            self.flying_set_count -= chunk.set_count
        if failure is None:
            self._finished += chunk.set_count
        else:
            self._pool.failures[failure.kind] += 1
        return failure

    async def _call(self, chunk: _Chunk) -> Failure | None:
        clock = asyncio.get_running_loop()
        async with self._pool.turns:
            request = self._task.request(chunk)
            await asyncio.sleep(0)
        begun = clock.time()
        try:
            call = self._pool.stub.RunBacktestBatch(
                request,
                timeout=self._task.call_seconds(chunk, self._pool.patience),
            )
            response = await call
            told = dict(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            failure = judged(error)
            if failure.kind in {FailureKind.LOST, FailureKind.BUSY}:
                self._pool.outages.failed(begun, clock.time(), failure.message)
            return failure
        self._pool.outages.answered(clock.time())
        seconds = int(told.get(COMPUTE_NS_KEY, 0)) / 1e9
        if seconds:
            self._task.pace.learn(chunk.set_count, seconds)
        if self._task.is_late(seconds):
            return Failure(FailureKind.LATE, f"computed for {seconds:.3g} s", 0.0)
        async with self._pool.turns:
            self.outcomes[chunk.start : chunk.stop] = outcomes_of(response, chunk.set_count)
            await asyncio.sleep(0)
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
            late = failure.kind is FailureKind.LATE and self._task.trial_seconds is not None
            return self._alone(replace(chunk, strikes=strikes, lates=chunk.lates + late), failure)
        if strikes < SPLIT_AFTER and failure.kind is not FailureKind.LATE:
            return _Chunk(chunk.start, chunk.stop, strikes)
        middle = (chunk.start + chunk.stop) // 2
        # A half that breaks once more is halved again at once; the innocent one just runs.
        other = _Chunk(middle, chunk.stop, SPLIT_AFTER - 1)
        self._group.create_task(self._resend(other))
        return _Chunk(chunk.start, middle, SPLIT_AFTER - 1)

    def _alone(self, chunk: _Chunk, failure: Failure) -> _Chunk | None:
        """Return a single set to be sent again; None where it is given up."""
        if chunk.lates >= TIME_OUT_AFTER:
            self.outcomes[chunk.start] = Outcome(
                failure_reason=TRIAL_TIMED_OUT,
                failure_message=(
                    f"took longer than {self._task.trial_seconds:g} s, {chunk.lates} times"
                ),
            )
            return None
        if chunk.strikes < GIVE_UP_AFTER:
            return chunk
        self.outcomes[chunk.start] = Outcome(
            failure_reason="SET_FAILED",
            failure_message=(
                f"no worker could run it, {chunk.strikes} were tried: {failure.message}"
            ),
        )
        return None

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
