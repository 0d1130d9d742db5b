"""The ledger counts every trial ever run on a dataset with a strategy."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import pytest

from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation, LedgerEntry, LedgerKey, StudyState
from services.optimizer.core.trial import TrialState

KEY = LedgerKey("datasets/hours", "strategies/cross")


def counted(trials: list[Any], study_count: int = 1) -> LedgerEntry:
    """Return what the ledger must say of the trials of a study."""
    run = [trial for trial in trials if trial.reused_trial_number is None]
    complete = [trial.outcome.metrics for trial in run if trial.state is TrialState.COMPLETE]
    sharpes = [one["sharpe_ratio"] / 365**0.5 for one in complete if "sharpe_ratio" in one]
    assert 0 < len(sharpes) < len(complete) < len(run) < len(trials)
    return LedgerEntry(
        key=KEY,
        study_count=study_count,
        trial_count=len(trials),
        evaluated_trial_count=len(run),
        sharpe_trial_count=len(sharpes),
        # One after the other: `sum` compensates its errors on later Pythons.
        sharpe_sum=reduce(add, sharpes, 0.0),
        sharpe_square_sum=reduce(add, [one * one for one in sharpes], 0.0),
    )


async def test_trials_are_counted_once_and_reused_ones_not_as_run(
    store: OptunaStore, cases: Any
) -> None:
    """Only complete trials of their own have a Sharpe ratio that counts."""
    lease = await cases.begin(store)
    for _ in range(2):
        await store.append(lease, cases.generations(0, 60), 1)
    assert await store.ledger(9, 0) == [counted(cases.trials(0, 60))]


@pytest.mark.parametrize("size", [1, 8, 60])
async def test_the_sums_do_not_depend_on_what_is_stored_together(
    store: OptunaStore, cases: Any, size: int
) -> None:
    """Trial by trial, generation by generation or all at once: the same bits."""
    lease = await cases.begin(store)
    for first in range(0, 60, size):
        trials = cases.trials(first, min(size, 60 - first))
        await store.append(lease, [Generation(trials)], 1)
    assert await store.ledger(9, 0) == [counted(cases.trials(0, 60))]


async def test_the_ledger_survives_the_deletion_of_studies(store: OptunaStore, cases: Any) -> None:
    """A study made again under the id of a deleted one is counted beside it."""
    entry = counted(cases.trials(0, 40))
    for repetition in range(1, 4):
        lease = await cases.begin(store, request_id=str(repetition))
        await store.append(lease, cases.generations(0, 40), 1)
        ended = cases.record(state=StudyState.SUCCEEDED)
        await store.update(ended, [], {StudyState.PENDING}, lease)
        assert await store.delete("first")
        assert await store.ledger(9, 0) == [
            replace(
                entry,
                study_count=repetition,
                trial_count=repetition * entry.trial_count,
                evaluated_trial_count=repetition * entry.evaluated_trial_count,
                sharpe_trial_count=repetition * entry.sharpe_trial_count,
                sharpe_sum=math.fsum([entry.sharpe_sum] * repetition),
                sharpe_square_sum=math.fsum([entry.sharpe_square_sum] * repetition),
            )
        ]


async def test_entries_are_listed_by_dataset_and_strategy(store: OptunaStore, cases: Any) -> None:
    """In pages, by code points, filtered by either; studies without a trial are none."""
    keys = [
        LedgerKey(f"datasets/{dataset}", f"strategies/{strategy}")
        for dataset in ("B", "a", "a-b")
        for strategy in ("x", "x-y", "y")
    ]
    for place, key in enumerate(reversed(keys)):
        for study in ("one", "two"):
            lease = await cases.begin(store, f"{study}-{place}", ledger_key=key)
            await store.append(lease, cases.generations(0, 2), 1)
        await store.create(cases.record(f"new-{place}", ledger_key=key), cases.shape)
    listed = await store.ledger(99, 0)
    assert [entry.key for entry in listed] == keys
    assert {(entry.study_count, entry.trial_count) for entry in listed} == {(2, 4)}
    assert await store.ledger(4, 3) == listed[3:7]
    assert await store.ledger(9, 0, dataset="datasets/a") == listed[3:6]
    assert await store.ledger(9, 0, strategy="strategies/x-y") == listed[1::3]
    assert await store.ledger(9, 0, "datasets/a", "strategies/x-y") == [listed[4]]
    assert await store.ledger(9, 0, "datasets/none") == []
