"""Processes that are told to end, or start again, with work in hand."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from assay.backtest.v1 import backtest_service_pb2, backtest_service_pb2_grpc, strategy_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.channel import connect
from tests.system.chaos.conftest import TRIAL_COUNT, assert_whole
from tests.system.processes import DATASET, WINDOW

SERVICE = "assay.backtest.v1.BacktestService"


def test_a_rolling_restart_of_the_workers_fails_no_call(
    start_optimizer: Any, spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """Every worker is ended and started anew under load: a study, and a caller that never rests."""
    system = start_optimizer(workers=3)
    addresses = "ipv4:" + ",".join(worker.address for worker in system.workers)
    name = system.create("rolled", spec | {"bayesian": {"trial_count": TRIAL_COUNT}}).name
    done = asyncio.Event()
    answered = 0

    async def call_without_rest() -> None:
        nonlocal answered
        request = backtest_service_pb2.RunBacktestRequest(
            snapshot=json_format.ParseDict(
                {"dataset": DATASET, "window": WINDOW}, candles_pb2.CandleSnapshot()
            ),
            strategy=strategy_pb2.StrategyChoice(name="strategies/ma_crossover"),
        )
        async with connect(addresses, SERVICE) as channel:
            stub: Any = backtest_service_pb2_grpc.BacktestServiceStub(channel)
            while not done.is_set():
                await stub.RunBacktest(request)
                answered += 1

    async def restart_all() -> None:
        try:
            for worker in system.workers:
                assert await asyncio.to_thread(worker.send, signal.SIGTERM) == 0
                worker.start()
                await asyncio.to_thread(worker.wait_until_serving)
        finally:
            done.set()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(call_without_rest())
            group.create_task(restart_all())

    with ThreadPoolExecutor() as pool:
        watching = pool.submit(system.watch, name)
        asyncio.run(both())
        study = watching.result()

    assert answered > 0
    assert_whole(system, study, undisturbed)


def test_an_optimizer_told_to_end_loses_no_trial_it_told_of(
    start_optimizer: Any, spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """What a watcher has heard of is stored: after each of three restarts, and in the end."""
    system = start_optimizer(workers=2)
    name = system.create("ended", spec).name
    ends: list[int] = []

    def end(event: study_pb2.StudyEvent) -> None:
        heard = event.generation_finished.progress.finished_trial_count
        if event.generation_finished.generation_number in {3, 9, 15} and heard not in ends:
            ends.append(heard)
            assert system.optimizer.send(signal.SIGTERM) == 0
            system.optimizer.start()
            system.optimizer.wait_until_serving()
            assert len(system.trials(name)) >= heard

    study = system.watch(name, end)

    assert len(ends) == 3
    assert_whole(system, study, undisturbed)


def test_a_study_is_told_whole_though_its_watcher_always_falls_off(
    start_optimizer: Any, spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """A watcher that breaks off after every event and comes back hears each event once."""
    system = start_optimizer(workers=1)
    name = system.create("fallen", spec).name
    numbers: list[int] = []

    class FallsOff(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

    def fall(event: study_pb2.StudyEvent) -> None:
        numbers.append(event.number)
        if not event.HasField("study_finished"):
            raise FallsOff

    study = system.watch(name, fall)

    assert numbers == list(range(1, len(numbers) + 1))
    assert_whole(system, study, undisturbed)
