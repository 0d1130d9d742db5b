"""What observers of a store hear, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.common.errors import AssayError
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation, StudyState
from tests.private_servers import PostgresServer


class Heard:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.transactions: list[tuple[str, bool]] = []
        self.trial_count = 0

    def transacted(self, operation: str, seconds: float, *, answered: bool) -> None:
        """Remember a transaction."""
        assert seconds > 0
        self.transactions.append((operation, answered))

    def appended(self, generations: Sequence[Generation]) -> None:
        """Remember trials."""
        self.trial_count += sum(len(one.trials) for one in generations)


async def test_transactions_and_stored_trials_are_told(store: OptunaStore, cases: Any) -> None:
    """Each by the name of what it does; a refusal is an answer, and stores no trial."""
    lease = await cases.begin(store)
    heard = Heard()
    store.observe(heard)

    await store.append(lease, cases.generations(0, 8), 1)
    assert await store.get("none") is None
    with pytest.raises(ValueError, match="number"):
        await store.append(lease, cases.generations(100, 8), 1)

    assert heard.transactions == [("append", True), ("first_study", True), ("append", True)]
    assert heard.trial_count == sum(len(one.trials) for one in cases.generations(0, 8))


async def test_studies_are_counted_by_state(store: OptunaStore, cases: Any) -> None:
    """Only states that some study is in."""
    assert await store.state_counts() == {}

    await cases.begin(store)

    assert await store.state_counts() == {StudyState.PENDING: 1}


async def test_an_outage_is_told_as_no_answer(
    postgres_server: PostgresServer,
) -> None:
    """While the database is away every transaction counts as not answered."""
    store = await OptunaStore.open(postgres_server.new_database())
    heard = Heard()
    store.observe(heard)
    postgres_server.kill()
    try:
        with pytest.raises(AssayError):
            await store.get("any")
    finally:
        postgres_server.restart()
        await store.close()

    assert heard.transactions == [("first_study", False)]
