"""Searching without a store: the trials a study would have had, and nothing left of them."""

from __future__ import annotations

import pytest

from services.optimizer.adapters.searches.choice import search_of
from services.optimizer.core.spec.draft import PruningKind, PruningRule, SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.rehearsal import rehearse
from tests.unit.optimizer.in_memory import ScriptedWorkers, TickingClock, make_plan, timeless
from tests.unit.optimizer.runner_of import claimed_runner

MEDIAN = PruningRule(PruningKind.MEDIAN, startup_trial_count=8, rung_bar_counts=(125, 250))
PLANS = {
    "random": make_plan(trial_count=41),
    "grid": make_plan(search=SearchKind.GRID, constraints=["fast_period < slow_period"]),
    "bayesian": make_plan(search=SearchKind.BAYESIAN, trial_count=42),
    "pruned": make_plan(trial_count=80, generation_size=8, pruning=MEDIAN),
}


@pytest.mark.parametrize("name", sorted(PLANS))
async def test_the_best_is_that_of_a_study(name: str) -> None:
    """With the same points tried out in the same calls, none of them twice."""
    plan: StudyPlan = PLANS[name]
    stored, alone = ScriptedWorkers(), ScriptedWorkers()
    runner, _ = claimed_runner(plan, stored, search=search_of(plan))
    await runner.run()
    best = await rehearse(
        Engagement(plan, search_of(plan), alone), plan.trial_count, TickingClock().clock
    )
    assert alone.calls == stored.calls
    assert best is not None
    assert timeless([best]) == timeless(runner.stored.best)


async def test_fewer_trials_are_the_first_ones() -> None:
    """A study that was stopped early is compared with as many."""
    plan, workers = PLANS["random"], ScriptedWorkers()
    await rehearse(Engagement(plan, search_of(plan), workers), 10, TickingClock().clock)
    assert sum(map(len, workers.calls)) <= 10


async def test_without_a_feasible_trial_there_is_no_best() -> None:
    """Nothing is put in its place."""
    plan = make_plan(constraints=["trade_count >= 1000"])
    engagement = Engagement(plan, search_of(plan), ScriptedWorkers())
    assert await rehearse(engagement, plan.trial_count, TickingClock().clock) is None
