"""A Bayesian study resumed from either database goes on as if it had never left memory."""

from __future__ import annotations

from typing import Any

from services.optimizer.adapters.optuna_store import OptunaStore
from services.optimizer.core.ports import Generation, StudyShape
from tests.unit.optimizer_adapters.conftest import MIXED, Problem


async def test_a_search_told_the_stored_trials_goes_on_bit_by_bit(
    store: OptunaStore, cases: Any
) -> None:
    """Every value that was run is the value that is stored and told after a restart."""
    problem = Problem(
        maximize=(True, False),
        constraint_count=2,
        accept=lambda point: float(point["fast_period"]) < float(point["slow_period"]),
    )
    shape = StudyShape(MIXED, ("sharpe_ratio", "ulcer_index_ratio"), (True, False), ("a > 0", "b"))
    uninterrupted = problem.run(problem.search(), range(3))

    await store.create(cases.record(), shape)
    (claimed,) = await store.claim("one", cases.long_ms, 1)
    for generation in range(3):
        stored = await store.trials("first")
        search = problem.search()
        search.tell(stored)
        trials = problem.run(search, [generation], first_number=len(stored))
        await store.append(claimed.lease, [Generation(trials)], generation)

    assert repr(await store.trials("first")) == repr(uninterrupted)
