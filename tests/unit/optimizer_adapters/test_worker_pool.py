"""Points go out to any number of workers and come back in order, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.errors import AssayError, Code, unavailable
from services.optimizer.adapters.workers.batch_messages import outcomes_of
from services.optimizer.adapters.workers.study_workers import StudyWorkers
from services.optimizer.adapters.workers.worker_pace import FIRST_SET_COUNT, MOST_SET_COUNT, Pace
from services.optimizer.adapters.workers.worker_pool import Patience
from tests.private_servers import free_port
from tests.unit.optimizer_adapters.standin_worker import DEADLY, outcome_of, points_of
from tests.unit.optimizer_adapters.worker_fleet import SPEC, Fleet, expected, points


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    """No worker yet."""
    made = Fleet()
    yield made
    await made.close()


@pytest.mark.parametrize(("worker_count", "max_in_flight"), [(1, 1), (1, 16), (3, 4), (3, 16)])
async def test_outcomes_come_back_in_the_order_of_the_points(
    fleet: Fleet, worker_count: int, max_in_flight: int
) -> None:
    """Metrics, undefined metrics and failures are the same for any number of workers and calls."""
    workers = [await fleet.start() for _ in range(worker_count)]
    study = StudyWorkers.of(fleet.pool(max_in_flight), SPEC)
    for generation in (points(400), points(1), points(8, first=99), []):
        assert await study.evaluate(generation) == expected(generation)
    assert all(worker.requests for worker in workers)


async def test_a_request_says_everything_the_study_pinned(fleet: Fleet) -> None:
    """Typed columns for searched parameters, fixed ones apart, the snapshot with its digest."""
    worker = await fleet.start()
    await StudyWorkers.of(fleet.pool(), SPEC).evaluate(points(3))
    assert worker.requests == [
        json_format.ParseDict(
            {
                "snapshot": {
                    "dataset": "datasets/made.up.1h",
                    "lookback_bar_count": 40,
                    "content_digest": "ab" * 32,
                },
                "strategy": {"name": "strategies/ma_crossover", "direction": "DIRECTION_BOTH"},
                "execution": {"taker_fee_bps": 2.5},
                "set_count": 3,
                "columns": [
                    {"name": "fast_period", "int_values": {"values": [0, 1, 2]}},
                    {"name": "width", "double_values": {"values": [0.5, 1.5, 2.5]}},
                    {
                        "name": "average",
                        "category_values": {"categories": ["sma", "ema"], "indexes": [0, 1, 0]},
                    },
                ],
                "fixed_parameters": [{"name": "slow_period", "value": {"int_value": 40}}],
            },
            pb.RunBacktestBatchRequest(),
        )
    ]


async def test_a_refusal_of_the_whole_study_is_raised(fleet: Fleet) -> None:
    """Changed data are told with the data service's reason, domain and particulars, once."""

    async def refuse(request: pb.RunBacktestBatchRequest) -> None:
        raise AssayError(
            Code.ABORTED,
            "DATASET_CHANGED",
            "other bytes",
            metadata={"wanted_digest": "a", "actual_digest": "b"},
            domain="data.assay",
        )

    await fleet.start(refuse)
    with pytest.raises(AssayError) as refused:
        await StudyWorkers.of(fleet.pool(), SPEC).evaluate(points(100))
    error = refused.value
    assert (error.code, error.reason) == (Code.ABORTED, "DATASET_CHANGED")
    assert error.domain == "data.assay"
    assert error.metadata == {"wanted_digest": "a", "actual_digest": "b"}


async def test_busy_workers_are_asked_again(fleet: Fleet) -> None:
    """A full queue or an absent data service delays a study and costs it nothing."""
    reasons = iter(["WORKER_BUSY", "DATA_UNAVAILABLE"] * 12)

    async def busy_at_first(request: pb.RunBacktestBatchRequest) -> None:
        for reason in reasons:
            raise unavailable(reason, "later", retry_after_ms=1)

    worker = await fleet.start(busy_at_first)
    assert await StudyWorkers.of(fleet.pool(2), SPEC).evaluate(points(8)) == expected(points(8))
    assert len(worker.requests) > 24 // 4


async def test_a_study_waits_for_its_first_worker(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a worker nothing fails; one line is logged when the wait begins, one when it ends."""
    port = free_port()
    fleet.ports.append(port)
    waiting = asyncio.Event()

    class Notice(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "workers.waiting":
                waiting.set()

    logger = logging.getLogger("services.optimizer.adapters.workers.worker_pace")
    handler = Notice()
    logger.addHandler(handler)
    caplog.set_level(logging.INFO, logger.name)
    study = StudyWorkers.of(fleet.pool(), SPEC)
    evaluation = asyncio.create_task(study.evaluate(points(64)))
    await asyncio.wait_for(waiting.wait(), 30)
    await fleet.start(port=port)
    assert await evaluation == expected(points(64))
    logger.removeHandler(handler)
    assert [record.getMessage() for record in caplog.records] == ["workers.waiting", "workers.back"]


async def test_calls_of_a_worker_that_ends_are_run_by_another(fleet: Fleet) -> None:
    """Chunks in the hands of a worker that is stopped are sent again, each set counted once."""
    held = asyncio.Event()

    async def never_answer(request: pb.RunBacktestBatchRequest) -> None:
        held.set()
        await asyncio.Event().wait()

    await fleet.start(never_answer)
    await fleet.start()
    study = StudyWorkers.of(fleet.pool(4), SPEC)
    evaluation = asyncio.create_task(study.evaluate(points(200)))
    await held.wait()
    await fleet.stop(0)
    assert await evaluation == expected(points(200))


async def test_a_set_that_breaks_its_call_is_given_up_and_its_neighbours_are_not(
    fleet: Fleet,
) -> None:
    """The chunk is halved until the set to blame stands alone; that one is SET_FAILED."""

    async def stumble(request: pb.RunBacktestBatchRequest) -> None:
        if any(point["fast_period"] in {DEADLY, 57} for point in points_of(request)):
            raise RuntimeError("a defect")

    await fleet.start(stumble)
    outcomes = await StudyWorkers.of(fleet.pool(), SPEC).evaluate(points(100))
    for place in (DEADLY, 57):
        assert outcomes[place].failure_reason == "SET_FAILED"
        assert "INTERNAL" in outcomes[place].failure_message
        outcomes[place] = outcome_of(points(100)[place])
    assert outcomes == expected(points(100))


async def test_a_call_without_an_answer_is_halved_and_sent_again(fleet: Fleet) -> None:
    """A worker that hangs over one call costs its deadline, not the study."""
    hung: list[int] = []

    async def hang_once(request: pb.RunBacktestBatchRequest) -> None:
        if not hung:
            hung.append(request.set_count)
            await asyncio.Event().wait()

    await fleet.start(hang_once)
    patience = Patience(call_seconds=0.5, first_pause_seconds=0.01, longest_pause_seconds=0.05)
    study = StudyWorkers.of(fleet.pool(patience=patience), SPEC)
    assert await study.evaluate(points(16)) == expected(points(16))
    assert hung == [16]


def timed_spec(seconds: int) -> study_pb2.StudySpec:
    """Return the spec with a limit on the time of a trial."""
    spec = study_pb2.StudySpec()
    spec.CopyFrom(SPEC)
    spec.trial_timeout.FromSeconds(seconds)
    return spec


async def test_a_trial_that_computes_too_long_is_given_up_alone(fleet: Fleet) -> None:
    """Its neighbours, and whoever only waited with it, are unharmed."""
    worker = await fleet.start()
    worker.seconds_of = lambda point: 3.0 if point["fast_period"] == 7 else 0.01
    outcomes = await StudyWorkers.of(fleet.pool(), timed_spec(2)).evaluate(points(40))
    alone = [one for one in worker.requests if one.set_count == 1]

    assert outcomes[7].failure_reason == "TRIAL_TIMED_OUT"
    assert outcomes[7].failure_message == "took longer than 2 s, 2 times"
    assert [*outcomes[:7], *outcomes[8:]] == [*expected(points(40))[:7], *expected(points(40))[8:]]
    assert sum(one.columns[0].int_values.values[0] == 7 for one in alone) == 2


async def test_waiting_for_a_worker_times_no_trial_out(fleet: Fleet) -> None:
    """However long a call hangs in a queue: what counts is what the worker says it computed."""
    released = asyncio.Event()

    async def wait(request: pb.RunBacktestBatchRequest) -> None:
        await released.wait()

    worker = await fleet.start(wait)
    worker.seconds_of = lambda _: 0.001
    patience = Patience(call_seconds=0.3, first_pause_seconds=0.01, longest_pause_seconds=0.05)
    study = StudyWorkers.of(fleet.pool(patience=patience), timed_spec(60))
    evaluation = asyncio.create_task(study.evaluate(points(16)))
    done, _ = await asyncio.wait({evaluation}, timeout=1.0)
    released.set()

    assert not done
    assert await evaluation == expected(points(16))


async def test_cancelling_an_evaluation_cancels_its_calls(fleet: Fleet) -> None:
    """The worker learns that nobody wants the answer any more."""
    held, cancelled = asyncio.Event(), asyncio.Event()

    async def wait_for_ever(request: pb.RunBacktestBatchRequest) -> None:
        held.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await fleet.start(wait_for_ever)
    pool = fleet.pool(2)
    evaluation = asyncio.create_task(StudyWorkers.of(pool, SPEC).evaluate(points(64)))
    await held.wait()
    evaluation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await evaluation
    await asyncio.wait_for(cancelled.wait(), 30)
    assert not pool.places.locked()


async def test_studies_share_the_pool_s_places(fleet: Fleet) -> None:
    """However many studies run, no more calls are on their way than the pool allows."""
    on_their_way: list[int] = [0, 0]

    async def count(request: pb.RunBacktestBatchRequest) -> None:
        on_their_way[0] += 1
        on_their_way[1] = max(on_their_way)
        await asyncio.sleep(0.005)
        on_their_way[0] -= 1

    await fleet.start(count)
    pool = fleet.pool(3)
    studies = [StudyWorkers.of(pool, SPEC) for _ in range(4)]
    await asyncio.gather(*(study.evaluate(points(100)) for study in studies))
    assert on_their_way[1] == 3


def test_the_pace_follows_the_cost_of_a_set() -> None:
    """Calls aim at 20 ms of a worker's work, within bounds."""
    pace = Pace()
    assert pace.set_count == FIRST_SET_COUNT
    pace.learn(16, 0.016)
    assert pace.set_count == 20
    pace.learn(20, 0.000020)
    assert pace.set_count == MOST_SET_COUNT
    pace.learn(16, 160.0)
    assert pace.set_count == 1


def test_columns_of_the_wrong_length_are_a_defect() -> None:
    """An answer that does not fit its request is never guessed at."""
    response = pb.RunBacktestBatchResponse()
    response.columns.add(metric="sharpe_ratio", values=[1.0, 2.0])
    with pytest.raises(ValueError, match="does not hold 3 sets"):
        outcomes_of(response, 3)
