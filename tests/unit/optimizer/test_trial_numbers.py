"""Pages of a list that grows while it is read."""

from __future__ import annotations

import pytest

from services.optimizer.convert.requests import page_of
from services.optimizer.core.analysis.trial_order import TrialOrder
from services.optimizer.core.study.judge import Slot, judged
from services.optimizer.servicer.trial_numbers import TrialNumbers
from tests.unit.optimizer.in_memory import make_plan, outcome_of, pending, search_of
from tests.unit.optimizer.memory_store import MemoryStore

PLAN = make_plan(trial_count=40)
TRIALS = [
    judged(PLAN, Slot(number, number // 4, 0, 0), point, outcome_of(point))
    for number, point in enumerate(search_of(PLAN).ask(0, 40))
]


@pytest.mark.parametrize("key", ["number", "sharpe_ratio"])
@pytest.mark.parametrize("falling", [False, True])
async def test_later_pages_are_of_the_trials_there_were_for_the_first(
    key: str, falling: bool
) -> None:
    """None is repeated, none passed over, however many come meanwhile."""
    store, order = MemoryStore(), TrialOrder(key, falling)
    numbers = TrialNumbers(store)
    store.kept["one"] = TRIALS[:20]
    page, _ = page_of(6, "", 6, "ListTrials")
    read: list[int] = []
    while True:
        horizon = page.horizon or len(store.kept["one"])
        found = await numbers.ordered(pending(), horizon, order, None)
        read += found[page.offset : page.end].tolist()
        token = page.next_token(more=page.end < len(found), horizon=horizon)
        if not token:
            break
        store.kept["one"] = TRIALS[: len(store.kept["one"]) + 4]
        # As another replica would answer, which has not kept the first order.
        numbers = TrialNumbers(store)
        page, violations = page_of(6, token, 6, "ListTrials")
        assert not violations

    assert len(store.kept["one"]) > 20
    assert sorted(read) == list(range(20))
