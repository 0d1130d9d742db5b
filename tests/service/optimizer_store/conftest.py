"""Stores on real databases, and studies to put into them."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from services.optimizer.adapters.optuna_store import OptunaStore
from services.optimizer.core.ports import SearchedParameter, StudyRecord, StudyShape, StudyState
from services.optimizer.core.trial import Outcome, Trial, TrialState, Value
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
    metric_names=("sharpe_ratio", "max_drawdown_ratio"),
    maximize=(True, False),
    constraints=("trade_count >= 30", "total_return_ratio > 0", "trade_count >= 30"),
)

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
    }
    return StudyRecord(**(fields | changes))


def trial(number: int) -> Trial:
    """Return a trial, the same for the same number, with values that are hard to store."""
    complete = number % 5 != 3
    point: dict[str, Value] = {
        "fast_period": 2**53 - number if number % 2 else 2 + number,
        "position_fraction_ratio": 0.1 + 0.2,
        "hold_bars": 1 + number % 500,
        "width": (1 + number % 31) / 10,
        "stop_loss_ratio": 0.5 / 3.0 ** (number % 600),
        "max_bars": 7,
        "threshold": -1e300 if number % 7 == 3 else math.cos(number),
        "average": WORDS[number % 3],
        "side": "both",
    }
    metrics = {f"metric_{place}": NUMBERS[(number + place) % 7] * 0.5 for place in range(12)}
    values = (NUMBERS[number % 7], math.sin(number))
    metrics |= dict(zip(SHAPE.metric_names, values, strict=True))
    constraints = (0.0, -1.5, NUMBERS[number % 7]) if complete and number % 4 else ()
    return Trial(
        number=number,
        generation_number=number // 8,
        parameters=point,
        state=TrialState.COMPLETE if complete else TrialState.FAILED,
        objective_values=values if complete else (),
        constraint_values=constraints,
        feasible=bool(constraints) and all(value <= 0 for value in constraints),
        outcome=Outcome(metrics={**metrics, "trade_count": float(number)}, undefined={"sqn": 3})
        if complete
        else Outcome(failure_reason="WINDOW_TOO_SHORT", failure_message="needs 10 bars, has µ"),
        start_time_ms=1_717_000_000_000 + number,
        end_time_ms=1_717_000_000_001 + 2 * number,
    )


def trials(first: int, count: int) -> list[Trial]:
    """Return trials with numbers from `first` on."""
    return [trial(number) for number in range(first, first + count)]


class Cases:
    """What tests of the store are made of."""

    shape = SHAPE
    record = staticmethod(record)
    trial = staticmethod(trial)
    trials = staticmethod(trials)


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
