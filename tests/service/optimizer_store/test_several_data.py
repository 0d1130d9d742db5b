"""Studies over several data: what each of them says is stored bit by bit, and counted for each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import optuna
import pytest

from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation, LedgerKey
from services.optimizer.core.trial import DatasetResult, Trial, TrialState

DATASETS = ("datasets/hours", "datasets/other", "datasets/hours")
"""The first one twice, over other bars."""


def results_of(trial: Trial) -> tuple[DatasetResult, ...]:
    """Return what three data say of a trial, with numbers and signs that are hard to store."""
    said = []
    for place in range(len(DATASETS)):
        failed = trial.state is TrialState.FAILED and place == trial.number % 3
        metrics = {
            "sharpe_ratio": math.sin(trial.number + place),
            "sqn": -0.0,
            "tail_ratio": 5e-324,
        }
        if place == 1:
            del metrics["sqn"]
        said.append(
            DatasetResult(failure_reason="SET_FAILED", failure_message="µ\n")
            if failed
            else DatasetResult((0.0, -0.0), place > 0, metrics, {"calmar_ratio": place + 1})
        )
    return tuple(said)


def trials(cases: Any, first: int, count: int) -> list[Trial]:
    """Return trials over the data, of which none is pruned."""
    found = []
    for trial in cases.trials(first, count):
        whole = trial
        if trial.state is TrialState.PRUNED:
            outcome = replace(trial.outcome, pruned=False)
            whole = replace(
                trial, state=TrialState.COMPLETE, objective_values=(0.0, -0.0), outcome=outcome
            )
        outcome = replace(whole.outcome, dataset_results=results_of(whole))
        found.append(replace(whole, outcome=outcome))
    return found


async def begin(store: OptunaStore, cases: Any) -> Any:
    """Make a study over the data and claim it."""
    await store.create(cases.record(), replace(cases.shape, datasets=DATASETS))
    (claimed,) = await store.claim("one", cases.long_ms, 1, "first")
    return claimed.lease


async def test_what_each_of_the_data_says_comes_back_bit_by_bit(
    store: OptunaStore, cases: Any
) -> None:
    """Signs of zeros included, also where an objective has the name of a metric."""
    lease = await begin(store, cases)
    given = trials(cases, 0, 40)
    # The metric of all together is a negative zero, the objective a positive one.
    metrics = dict(given[0].outcome.metrics) | {"total_return_ratio": -0.0}
    outcome = replace(given[0].outcome, metrics=metrics)
    given[0] = replace(given[0], objective_values=(0.0, -0.0), outcome=outcome)
    await store.append(lease, [Generation(given)], 1)
    found = await store.trials("first")
    assert list(map(repr, found)) == list(map(repr, _in_order_of(found, given)))
    assert list(found) == given


def _in_order_of(found: Any, given: list[Trial]) -> list[Trial]:
    """Return the given trials with their mappings in the order of those found."""
    ordered = []
    for one, other in zip(found, given, strict=True):
        told = other.outcome
        results = tuple(
            replace(
                theirs,
                metrics={name: theirs.metrics[name] for name in ours.metrics},
                undefined={name: theirs.undefined[name] for name in ours.undefined},
            )
            for ours, theirs in zip(one.outcome.dataset_results, told.dataset_results, strict=True)
        )
        metrics = {name: told.metrics[name] for name in one.outcome.metrics}
        outcome = replace(told, metrics=metrics, dataset_results=results)
        ordered.append(replace(other, outcome=outcome))
    return ordered


async def test_trials_of_others_over_several_data_come_back(store: OptunaStore, cases: Any) -> None:
    """As they were given."""
    priors = trials(cases, 0, 12)
    await store.create(cases.record(), cases.shape, priors)
    assert list(await store.priors("first")) == priors


async def test_optuna_reads_such_a_study(
    store: OptunaStore, cases: Any, optuna_storage: Callable[[], optuna.storages.RDBStorage]
) -> None:
    """What each of the data says is an attribute of the trial."""
    lease = await begin(store, cases)
    await store.append(lease, [Generation(trials(cases, 0, 8))], 1)
    study = optuna.load_study(study_name="first", storage=optuna_storage())
    assert len(study.trials) == 8
    told = study.trials[1].user_attrs["dataset_results"]
    assert told["metrics"] == ["sharpe_ratio", "sqn", "tail_ratio"]
    assert told["datasets"][1]["values"] == [math.sin(2), None, 5e-324]
    assert told["datasets"][0]["feasible"] is False


@pytest.mark.parametrize("size", [1, 20])
async def test_the_ledger_counts_trials_for_each_dataset(
    store: OptunaStore, cases: Any, size: int
) -> None:
    """Sharpe ratios of each run on it; the same bits whatever is stored together."""
    lease = await begin(store, cases)
    given = trials(cases, 0, 40)
    for first in range(0, 40, size):
        for _ in range(2):
            await store.append(lease, [Generation(given[first : first + size])], 1)
    run = [trial for trial in given if trial.reused_trial_number is None]
    entries = {entry.key: entry for entry in await store.ledger(9, 0)}
    assert set(entries) == {LedgerKey(name, "strategies/cross") for name in DATASETS}
    for name, places in (("datasets/hours", (0, 2)), ("datasets/other", (1,))):
        entry = entries[LedgerKey(name, "strategies/cross")]
        assert (entry.study_count, entry.trial_count) == (1, 40)
        assert entry.evaluated_trial_count == len(run) < 40
        told = [trial.outcome.dataset_results[place] for trial in run for place in places]
        sharpes = [one.metrics["sharpe_ratio"] / 365**0.5 for one in told if one.metrics]
        assert entry.sharpe_trial_count == len(sharpes) < len(told)
        assert entry.sharpe_sum == reduce(add, sharpes, 0.0)
        assert entry.sharpe_square_sum == reduce(add, [one * one for one in sharpes], 0.0)
