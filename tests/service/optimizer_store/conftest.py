"""Stores on real databases, and studies to put into them."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import (
    Generation,
    Lease,
    LedgerKey,
    SearchedParameter,
    StudyRecord,
    StudyShape,
    StudyState,
)
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import IntermediateValue, Outcome, Trial, TrialState, Value
from tests.private_servers import PostgresServer

SHAPE = StudyShape(
    searched=(
        SearchedParameter("fast_period", "int", 2, 2**53),
        SearchedParameter("hold_bars", "int", 1, 500, log=True),
        SearchedParameter("width", "double", 0.1, 3.1, step=0.1),
        SearchedParameter("stop_loss_ratio", "double", 1e-300, 0.5, log=True),
        SearchedParameter("threshold", "double", -1e300, 1.0),
        SearchedParameter("average", "category", categories=("sma", "ema", "µ-average")),
    ),
    metric_names=("total_return_ratio", "max_drawdown_ratio"),
    maximize=(True, False),
    constraints=("trade_count >= 30", "total_return_ratio > 0", "trade_count >= 30"),
)

LONG_MS = 3_600_000
"""A lease that does not run out within a test."""

WORDS = ("sma", "ema", "µ-average")
NUMBERS = (0.1 + 0.2, -0.0, 5e-324, sys.float_info.max, -1e-300, math.pi, 1 / 3)


def record(study_id: str = "first", **changes: Any) -> StudyRecord:
    """Return a new study's record."""
    fields: dict[str, Any] = {
        "study_id": study_id,
        "request_id": f"request of {study_id}",
        "request_digest": "abc",
        "state": StudyState.PENDING,
        "spec": b"\x00spec\xff",
        "create_time_ms": 1_717_000_000_123,
        "warnings": ("synthetic data", "µ"),
        "code_version": "0.1.0",
        "limits": Limits(10_000, 60_000, None, 0.1 + 0.2),
        "ledger_key": LedgerKey("datasets/hours", "strategies/cross"),
    }
    return StudyRecord(**(fields | changes))


def state_of(number: int) -> TrialState:
    """Return how a trial ended."""
    if number % 5 == 3:
        return TrialState.FAILED
    return TrialState.PRUNED if number % 10 == 6 else TrialState.COMPLETE


def outcome(number: int, values: tuple[float, float]) -> Outcome:
    """Return what was said of a trial, with numbers and signs that are hard to store."""
    state = state_of(number)
    rungs = (
        IntermediateValue(1_000, NUMBERS[number % 7]),
        IntermediateValue(3_000, None if number % 4 else -0.0),
    )
    run: dict[str, Any] = {
        "intermediate_values": rungs if number % 2 == 0 else (),
        "evaluated_bar_count": 0 if number % 20 == 19 else 9_000 + number,
    }
    if state is TrialState.FAILED:
        return Outcome(
            failure_reason="WINDOW_TOO_SHORT", failure_message="needs 10 bars, has µ\t\\n\n", **run
        )
    metrics = {f"metric_{place}": NUMBERS[(number + place) % 7] * 0.5 for place in range(12)}
    metrics |= {"total_return_ratio": values[0], "trade_count": float(number)}
    if number % 9 != 4:
        metrics["sharpe_ratio"] = math.cos(number) / 3
    return Outcome(metrics=metrics, undefined={"sqn": 3}, pruned=state is TrialState.PRUNED, **run)


def trial(number: int) -> Trial:
    """Return a trial, the same for the same number, with values that are hard to store."""
    complete = state_of(number) is TrialState.COMPLETE
    values = (NUMBERS[number % 7], -0.0 if number % 9 == 4 else math.sin(number))
    point: dict[str, Value] = {
        "fast_period": 2**53 - number if number % 2 else 2 + number,
        "position_fraction_ratio": 0.1 + 0.2,
        "hold_bars": 1 + number % 500,
        "width": (1 + number % 31) / 10,
        "stop_loss_ratio": 0.5 / 3.0 ** (number % 600),
        "max_bars": 7,
        "threshold": (-1e300, -0.0)[number % 2] if number % 7 == 3 else math.cos(number),
        "average": WORDS[number % 3],
        "side": "both",
    }
    constraints = (0.0, -1.5, NUMBERS[number % 7]) if complete and number % 4 else ()
    return Trial(
        number=number,
        generation_number=number // 8,
        parameters=point,
        state=state_of(number),
        objective_values=values if complete else (),
        constraint_values=constraints,
        feasible=bool(constraints) and all(value <= 0 for value in constraints),
        outcome=outcome(number, values),
        start_time_ms=1_717_000_000_000 + number,
        end_time_ms=1_717_000_000_001 + 2 * number,
        reused_trial_number=number - 1 if number % 20 == 19 else None,
        window_number=number % 4 if number % 3 else None,
    )


def trials(first: int, count: int) -> list[Trial]:
    """Return trials with numbers from `first` on."""
    return [trial(number) for number in range(first, first + count)]


def generations(first: int, count: int, size: int = 8) -> list[Generation]:
    """Return trials as generations of a size, each with one event."""
    return [
        Generation(trials(start, min(size, first + count - start)), [b"generation %d" % start])
        for start in range(first, first + count, size)
    ]


async def begin(
    store: OptunaStore, study_id: str = "first", owner: str = "one", **changes: Any
) -> Lease:
    """Make a study and claim it for a long time."""
    await store.create(record(study_id, **changes), SHAPE)
    (claimed,) = await store.claim(owner, LONG_MS, 1, study_id)
    return claimed.lease


class Cases:
    """What tests of the store are made of."""

    shape = SHAPE
    record = staticmethod(record)
    trial = staticmethod(trial)
    trials = staticmethod(trials)
    generations = staticmethod(generations)
    begin = staticmethod(begin)
    long_ms = LONG_MS


@pytest.fixture
def cases() -> Cases:
    """Records, trials and a shape."""
    return Cases()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new folder' / 'studies.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[OptunaStore]:
    """A store with its tables made and nothing in them."""
    opened = await OptunaStore.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def optuna_storage(
    store: OptunaStore, database_url: str
) -> Iterator[Callable[[], optuna.storages.RDBStorage]]:
    """Open the store's database as any Optuna client would; each call is a new client."""
    opened: list[optuna.storages.RDBStorage] = []

    def client() -> optuna.storages.RDBStorage:
        opened.append(optuna.storages.RDBStorage(database_url))
        return opened[-1]

    yield client
    for storage in opened:
        storage.remove_session()
        storage.engine.dispose()
