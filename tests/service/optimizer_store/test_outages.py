"""Databases and processes die at any moment; studies are whole afterwards."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest

from services.common.errors import AssayError, Code
from services.optimizer.adapters.store import store_callers
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import StudyState
from services.optimizer.core.study.limits import Limits
from tests.private_servers import PostgresServer


@pytest.fixture
async def on_postgresql(postgres_server: PostgresServer) -> AsyncIterator[OptunaStore]:
    """A store on a PostgreSQL that the test may kill; it runs again afterwards."""
    opened = await OptunaStore.open(postgres_server.new_database())
    yield opened
    postgres_server.restart()
    await opened.close()


async def patiently(call: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Repeat a call while the store is unavailable; returns how often it was."""
    for failures in range(10_000):
        try:
            await call()
        except AssayError as error:
            if error.reason != "STORE_UNAVAILABLE":
                raise
            await asyncio.sleep(0.02)
        else:
            return failures
    raise TimeoutError("the store never came back")


async def test_an_absent_database_is_told_and_then_forgotten(
    on_postgresql: OptunaStore, postgres_server: PostgresServer, cases: Any
) -> None:
    """While PostgreSQL is dead every method is UNAVAILABLE; once it is back they work."""
    store = on_postgresql
    lease = await cases.begin(store)
    await store.append(lease, cases.generations(0, 8), 1)
    postgres_server.kill()
    calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        lambda: store.create(cases.record("second"), cases.shape),
        lambda: store.get("first"),
        lambda: store.list(1, 0, None),
        lambda: store.claim("one", cases.long_ms, 1),
        lambda: store.renew([lease], cases.long_ms),
        lambda: store.release([lease]),
        lambda: store.update(cases.record(), [], {StudyState.PENDING}, None),
        lambda: store.set_limits("first", Limits(1)),
        lambda: store.append(lease, cases.generations(8, 8), 2),
        lambda: store.trials("first"),
        lambda: store.trials_numbered("first", [3]),
        lambda: store.table("first", ["trade_count"]),
        lambda: store.priors("first"),
        lambda: store.events("first", 0, 9),
        lambda: store.delete("first"),
        lambda: store.ledger(1, 0),
    ]
    for call in calls:
        with pytest.raises(AssayError) as told:
            await call()
        assert (told.value.code, told.value.reason) == (Code.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert told.value.retry_after_ms
    postgres_server.restart()
    await store.append(lease, cases.generations(8, 8), 2)
    assert await store.trials("first") == cases.trials(0, 16)
    assert await store.events("first", 0, 9) == [(1, b"generation 0"), (2, b"generation 8")]


async def test_killing_postgresql_while_a_study_writes_loses_and_doubles_nothing(
    on_postgresql: OptunaStore, postgres_server: PostgresServer, cases: Any
) -> None:
    """Generations repeated through two crashes are each there once, with their events."""
    store = on_postgresql
    lease = await cases.begin(store)
    stored = asyncio.Event()
    failures = 0

    async def write() -> None:
        nonlocal failures
        for number in range(60):
            failures += await patiently(
                lambda number=number: store.append(  # type: ignore[misc]
                    lease, cases.generations(8 * number, 8), number
                )
            )
            stored.set()

    writing = asyncio.create_task(write())
    for _ in range(2):
        stored.clear()
        await stored.wait()
        await asyncio.to_thread(postgres_server.kill)
        await asyncio.to_thread(postgres_server.restart)
    await writing
    assert failures
    assert await store.trials("first") == cases.trials(0, 480)
    assert await store.events("first", 0, 99) == [
        (number + 1, b"generation %d" % (8 * number)) for number in range(60)
    ]
    (entry,) = await store.ledger(9, 0)
    assert entry.trial_count == 480
    assert len(await store.table("first")) == 480


async def test_a_store_opened_during_an_outage_says_so(postgres_server: PostgresServer) -> None:
    """Opening is UNAVAILABLE as well, so that a service can wait for its database."""
    url = postgres_server.new_database()
    postgres_server.kill()
    try:
        with pytest.raises(AssayError, match="does not answer"):
            await OptunaStore.open(url)
    finally:
        postgres_server.restart()
    await (await OptunaStore.open(url)).close()


async def test_a_process_killed_while_it_writes_leaves_whole_generations(
    database_url: str, cases: Any
) -> None:
    """After SIGKILL what was told as stored is there, and nothing is there in part."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.service.optimizer_store.append_for_ever",
        database_url,
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = -1
    while told < 12:
        told = int(await process.stdout.readline())
    process.kill()
    told = max([told, *map(int, (await process.stdout.read()).split())])
    await process.wait()

    store = await OptunaStore.open(database_url)
    trials = await store.trials("first")
    assert len(trials) % 8 == 0
    assert len(trials) // 8 >= told + 1
    assert trials == cases.trials(0, len(trials))
    assert len(await store.events("first", 0, 10_000)) == len(trials) // 8

    record = await store.get("first")
    assert record is not None
    await store.append(record.lease, cases.generations(len(trials), 8), 1)
    storage = optuna.storages.RDBStorage(database_url)
    study = optuna.load_study(study_name="first", storage=storage)
    assert [trial.number for trial in study.trials] == list(range(len(trials) + 8))
    storage.remove_session()
    storage.engine.dispose()
    await store.close()


async def test_a_halted_replica_that_creates_a_study_costs_others_no_lease(
    postgres_server: PostgresServer, cases: Any
) -> None:
    """Another study of the caller waits for it, and gives up; leases are renewed meanwhile."""
    url = postgres_server.new_database()
    store = await OptunaStore.open(url)
    await store.create(cases.record("first"), cases.shape, (), 5)
    (own,) = await store.claim("other", 3_600_000, 1)
    with psycopg.connect(url.replace("+psycopg", "")) as halted:
        halted.execute("SELECT pg_advisory_xact_lock(%s, hashtext(''))", (store_callers._LOCK,))
        async with asyncio.timeout(10):
            creating = asyncio.ensure_future(
                store.create(cases.record("second"), cases.shape, (), 5)
            )
            assert [one.study_id for one in await store.renew([own.lease], 3_600_000)] == ["first"]
            with pytest.raises(AssayError) as refused:
                await creating
    assert refused.value.reason == "STORE_UNAVAILABLE"
    await store.create(cases.record("second"), cases.shape, (), 5)
    await store.close()
