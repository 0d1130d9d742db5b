"""A search resumed from either database goes on as if its study had never left memory."""

from __future__ import annotations

from typing import Any

import pytest

from services.optimizer.adapters.searches.choice import search_of
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation
from tests.unit.optimizer.plans import run
from tests.unit.optimizer_adapters.search_kinds import (
    LEARNING,
    METRIC_CONSTRAINT,
    PARAMETER_CONSTRAINT,
    kind_plan,
)


@pytest.mark.parametrize("kind", LEARNING)
async def test_a_search_told_the_stored_trials_goes_on_bit_by_bit(
    store: OptunaStore, cases: Any, kind: str
) -> None:
    """Every value that was run is the value that is stored and told after a restart."""
    plan = kind_plan(kind, [PARAMETER_CONSTRAINT, METRIC_CONSTRAINT])
    uninterrupted = run(plan, search_of(plan), range(4))

    await store.create(cases.record(), plan.shape)
    (claimed,) = await store.claim("one", cases.long_ms, 1)
    for generation in range(4):
        search = search_of(plan)
        if stored := await store.trials("first"):
            search.tell(stored)
        trials = run(plan, search, [generation])
        await store.append(claimed.lease, [Generation(trials)], generation)

    assert repr(await store.trials("first")) == repr(uninterrupted)
