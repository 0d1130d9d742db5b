"""Whole systems of real processes, whose parts can be killed and started again."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.system.processes import DATASET, WINDOW, Process, System

StartSystem = Callable[..., System]


@pytest.fixture
def start_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    """Return a function that starts a system: `start_system(workers=3, database_url=...)`.

    With `other_processor` the last replica of the optimizer has these environment variables too;
    `reach` makes the optimizer's target of the workers' addresses; with
    `optimizer_command` the optimizer is run by that.
    """
    with _starter(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    """Return the same for a system that all tests of a module use and none harms."""
    with _starter(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def standing_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return a data service and three workers, which remember no study: many tests share them."""
    with _starter(tmp_path_factory) as start:
        yield start(workers=3, optimizers=0)


@pytest.fixture
def start_optimizer(
    tmp_path_factory: pytest.TempPathFactory, standing_workers: System
) -> Iterator[StartSystem]:
    """Return `start_system` for tests whose data service is as good as any other.

    The system has an optimizer and a store of its own, and the first of the standing workers. They
    may be killed, frozen and ended: they stand again after the test.
    """
    with _starter(tmp_path_factory, standing_workers) as start:
        yield start
    for worker in standing_workers.workers:
        assert worker.running is not None
        worker.go_on()
        if worker.running.poll() is not None:
            worker.start()
    for worker in standing_workers.workers:
        worker.wait_until_serving()


@contextmanager
def _starter(
    tmp_path_factory: pytest.TempPathFactory, standing: System | None = None
) -> Iterator[StartSystem]:
    with ExitStack() as stack:

        def start(
            workers: int = 1,
            optimizers: int = 1,
            other_processor: dict[str, str] | None = None,
            reach: Callable[[list[str]], str] = lambda addresses: "ipv4:" + ",".join(addresses),
            worker_host: str = "127.0.0.1",
            optimizer_command: list[str] | None = None,
            **settings: str,
        ) -> System:
            home = tmp_path_factory.mktemp("system")
            environment = {
                key: value for key, value in os.environ.items() if not key.startswith("ASSAY_")
            }
            environment["ASSAY_HOME"] = str(home)
            environment |= {f"ASSAY_{key.upper()}": value for key, value in settings.items()}

            counts: Counter[str] = Counter()

            def process(service: str, **more: str) -> Process:
                counts[service] += 1
                log = home / f"{service}-{counts[service]}.log"
                made = Process(service, environment | more, log)
                stack.callback(_end, made)
                return made

            data = standing.data if standing else process("data")
            pool = (
                standing.workers[:workers]
                if standing
                else [process("backtest", ASSAY_DATA_ADDRESS=data.address) for _ in range(workers)]
            )
            for worker in pool:
                worker.host = worker_host
            addresses = reach([worker.address for worker in pool])
            replicas = [
                process("optimizer", ASSAY_BACKTEST_ADDRESS=addresses) for _ in range(optimizers)
            ]
            for replica in replicas:
                replica.command = optimizer_command
            if replicas:
                replicas[-1].environment |= other_processor or {}
            system = System(data, pool, replicas, stack)
            own = replicas if standing else system.processes()
            for member in own:
                member.start()
            for member in own:
                member.wait_until_serving()
            if not standing:
                system.make_dataset()
            return system

        yield start


def _end(process: Process) -> None:
    if process.running is not None and process.running.poll() is None:
        process.running.kill()
        process.running.wait()


@pytest.fixture
def bayesian_spec() -> dict[str, Any]:
    """Return a 100-trial study over the synthetic market, in JSON form."""
    return {
        "data": [{"dataset": DATASET, "window": WINDOW}],
        "strategy": {"name": "strategies/ma_crossover", "direction": "DIRECTION_BOTH"},
        "execution": {"taker_fee_bps": 5.5, "slippage_bps": 1.0},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 3, "high": 60}},
            {"name": "slow_period", "int_range": {"low": 10, "high": 240, "step": 5}},
            {"name": "average", "categories": {"values": ["sma", "ema"]}},
            {"name": "stop_loss_ratio", "double_range": {"low": 0.005, "high": 0.1, "log": True}},
        ],
        "constraints": ["fast_period < slow_period", "trade_count >= 5"],
        "objectives": [{"metric": "sharpe_ratio"}],
        "bayesian": {"trial_count": 100},
        "seed": "42",
    }


@pytest.fixture
def grid_spec(bayesian_spec: dict[str, Any]) -> dict[str, Any]:
    """Return the example grid: 10 x 10 points of which 90 have fast < slow."""
    spec = {key: bayesian_spec[key] for key in ("data", "execution", "objectives")}
    return spec | {
        "strategy": {"name": "strategies/ma_crossover"},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 5, "high": 50, "step": 5}},
            {"name": "slow_period", "int_range": {"low": 20, "high": 200, "step": 20}},
        ],
        "constraints": ["fast_period < slow_period"],
        "grid": {},
        "generation_size": 16,
    }
