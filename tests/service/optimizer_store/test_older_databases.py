"""A database of the version before leases opens, its studies read, and they go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.errors import AssayError
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation, LedgerKey, StudyState
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import TrialState

BEFORE = (
    "study_id",
    "optuna_study_id",
    "request_id",
    "request_digest",
    "state",
    "spec",
    "warnings_json",
    "code_version",
    "create_time_ms",
    "start_time_ms",
    "end_time_ms",
    "error",
    "trials_digest",
    "outcome",
    "shape_json",
    "parameter_order_json",
    "trial_count",
    "event_count",
)
"""The columns of `assay_studies` then."""


def make_older(database_url: str) -> None:
    """Take away everything that the version before did not have."""
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        names = [one["name"] for one in sa.inspect(connection).get_columns("assay_studies")]
        assert set(BEFORE) < set(names)
        for name in names:
            if name not in BEFORE:
                connection.exec_driver_sql(f"ALTER TABLE assay_studies DROP COLUMN {name}")
        for table in ("assay_trial_columns", "assay_study_priors", "assay_ledger"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("DROP INDEX assay_trials_number")
    engine.dispose()


@pytest.fixture
async def older(database_url: str, cases: Any) -> str:
    """A database of the earlier version with a running study of 20 trials and an ended one."""
    store = await OptunaStore.open(database_url)
    lease = await cases.begin(store)
    running = cases.record(state=StudyState.RUNNING, start_time_ms=4)
    await store.update(running, [b"running"], {StudyState.PENDING}, lease)
    await store.append(lease, [Generation(cases.trials(0, 20), [b"generation"])], 1)
    await store.create(cases.record("ended", state=StudyState.SUCCEEDED), cases.shape)
    await store.close()
    make_older(database_url)
    return database_url


async def test_studies_of_an_older_database_read_as_they_were(older: str, cases: Any) -> None:
    """Without limits, owners and keys, which they did not have; opened any number of times."""
    for _ in range(2):
        store = await OptunaStore.open(older)
        without = {"limits": Limits(0), "ledger_key": LedgerKey("", "")}
        running = cases.record(state=StudyState.RUNNING, start_time_ms=4, **without)
        assert await store.get("first") == running
        assert len(await store.list(9, 0, StudyState.SUCCEEDED)) == 1
        assert await store.trials("first") == cases.trials(0, 20)
        assert await store.trials("first", 15, 3) == cases.trials(15, 3)
        assert await store.events("first", 0, 9) == [(1, b"running"), (2, b"generation")]
        assert await store.priors("first") == []
        assert await store.ledger(9, 0) == []
        await store.close()


async def test_an_older_study_is_claimed_and_goes_on(older: str, cases: Any) -> None:
    """Its table has the trials of both versions; it counts in the ledger under no key."""
    store = await OptunaStore.open(older)
    (claimed,) = await store.claim("one", cases.long_ms, 9)
    assert (claimed.study_id, claimed.lease_epoch) == ("first", 1)
    await store.set_limits("first", Limits(40))
    standing = await store.append(claimed.lease, cases.generations(20, 20), 5)
    assert standing.limits == Limits(40)
    assert await store.trials("first") == cases.trials(0, 40)
    table = await store.table("first", ["trade_count"])
    expected = [one.outcome.metrics.get("trade_count", -1.0) for one in cases.trials(0, 40)]
    assert [-1.0 if one != one else one for one in table.metrics["trade_count"]] == expected  # noqa: PLR0124 - NaN
    assert table.states.tolist() == [one.state.value for one in cases.trials(0, 40)]
    assert table.states.tolist().count(TrialState.PRUNED.value) == 4
    assert await store.ledger(9, 0) == []
    await store.close()


async def test_an_older_study_is_deleted(older: str) -> None:
    """What has no columns and no priors goes like everything else."""
    store = await OptunaStore.open(older)
    assert await store.delete("ended")
    assert await store.get("ended") is None
    await store.close()


def test_the_older_columns_are_those_of_the_release(tmp_path: Path) -> None:
    """Nothing that was NOT NULL then has got another name since."""
    from services.optimizer.adapters.store.study_tables import STUDIES  # noqa: PLC0415

    assert tuple(column.name for column in STUDIES.columns)[: len(BEFORE)] == BEFORE


async def test_older_studies_are_nobodys(older: str, cases: Any) -> None:
    """They count for no caller by name; beside them those of callers do."""
    store = await OptunaStore.open(older)
    await store.create(cases.record("own", caller="ann"), cases.shape, (), 1)
    assert (await store.unfinished_count("ann"), await store.unfinished_count("")) == (1, 1)
    own = await store.get("own")
    assert own is not None
    assert own.caller == "ann"
    with pytest.raises(AssayError) as refused:
        await store.create(cases.record("more", caller="ann"), cases.shape, (), 1)
    assert refused.value.reason == "TOO_MANY_STUDIES"
    # A repetition of what was made, its answer lost.
    await store.create(cases.record("own", caller="ann"), cases.shape, (), 1)
    await store.close()
