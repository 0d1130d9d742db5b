"""When a study ends, and that ending early and going on changes no trial."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.optimizer.core.records import LeaseLostError, Standing, StudyState
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.journal import MOST_WAITING
from services.optimizer.core.study.limits import Limits, StopReason
from services.optimizer.core.trial import Point, Trial, TrialState
from tests.unit.optimizer.in_memory import ScriptedWorkers, make_plan, search_of, timeless
from tests.unit.optimizer.memory_store import MemoryStore
from tests.unit.optimizer.runner_of import claimed_runner

PLAN = make_plan(trial_count=22)


async def finished(
    limits: Limits, store: MemoryStore | None = None
) -> tuple[StopReason | None, list[Trial]]:
    """Run the study "one" to its end under limits."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers(), store, limits=limits)
    await runner.load()
    return await runner.run(), store.kept["one"]


@pytest.mark.parametrize("first_count", [1, 4, 6, 7, 21])
async def test_a_study_extended_has_the_trials_it_would_have_had_at_once(first_count: int) -> None:
    """Wherever the first limit cut its last generation."""
    _, whole = await finished(Limits(22))
    store = MemoryStore()
    reason, first = await finished(Limits(first_count), store)
    assert (reason, len(first)) == (StopReason.TRIAL_COUNT, first_count)
    reason, extended = await finished(Limits(22), store)

    assert reason is StopReason.TRIAL_COUNT
    assert timeless(extended) == timeless(whole)


@pytest.mark.parametrize("first_count", range(1, 22))
async def test_a_stop_rule_is_looked_at_after_whole_generations_alone(first_count: int) -> None:
    """Also where an earlier limit cut one short: the extended study ends where it would have."""
    rule = Limits(22, patience_trial_count=5)
    _, wanted = await finished(rule)
    store = MemoryStore()
    await finished(Limits(min(first_count, len(wanted))), store)
    reason, extended = await finished(rule, store)

    assert reason is StopReason.PATIENCE
    assert timeless(extended) == timeless(wanted)


async def test_limits_raised_while_the_last_trials_are_being_stored_are_minded() -> None:
    """The study goes on, though it had thought that it was at its end."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers(), limits=Limits(4))
    await runner.load()
    store.append_gate.clear()
    task = asyncio.ensure_future(runner.run())
    for _ in range(1_000):
        await asyncio.sleep(0)
    await store.set_limits("one", Limits(9))
    store.append_gate.set()

    assert await task is StopReason.TRIAL_COUNT
    assert len(store.kept["one"]) == 9


async def test_limits_of_now_end_a_running_study() -> None:
    """Those the store tells with each transaction."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers(), limits=Limits(22))
    await runner.load()

    def lower() -> None:
        store.records["one"] = replace(store.records["one"], limits=Limits(9))

    lower()
    reason = await runner.run()

    assert reason is StopReason.TRIAL_COUNT
    assert 9 <= len(store.kept["one"]) <= 12


async def test_a_target_ends_the_study_with_the_generation_that_reaches_it() -> None:
    """Not before, and not after."""
    _, whole = await finished(Limits(22))
    best = max(one.objective_values[0] for one in whole if one.feasible)
    first = next(one.number for one in whole if one.feasible and one.objective_values[0] == best)
    reason, trials = await finished(Limits(22, target_value=best))

    assert reason is StopReason.TARGET
    assert len(trials) == min(4 * (first // 4 + 1), 22)


async def test_patience_ends_the_study_after_so_many_trials_without_a_better_one() -> None:
    """Looked at after each generation."""
    _, whole = await finished(Limits(22))
    reason, trials = await finished(Limits(22, patience_trial_count=5))
    count = len(trials)
    improved = -1
    best = float("-inf")
    for one in whole[:count]:
        if one.feasible and one.objective_values[0] > best:
            best, improved = one.objective_values[0], one.number

    assert reason is StopReason.PATIENCE
    assert count - 1 - improved >= 5
    assert count - 4 - 1 - improved < 5


async def test_time_ends_the_study_summed_over_its_owners() -> None:
    """Time under an earlier owner counts."""
    reason, trials = await finished(Limits(22, max_duration_ms=5))
    assert reason is StopReason.MAX_DURATION
    assert len(trials) < 22
    _, store = claimed_runner(PLAN, ScriptedWorkers(), limits=Limits(22))
    store.records["one"] = replace(store.records["one"], elapsed_ms=10**6)
    runner, _ = claimed_runner(
        PLAN, ScriptedWorkers(), store, limits=Limits(22, max_duration_ms=10**6)
    )
    await runner.load()

    assert await runner.run() is StopReason.MAX_DURATION
    assert "one" not in store.kept


class CountingSearch:
    """A random search that tells when it was asked for the ninth generation."""

    def __init__(self, plan: StudyPlan) -> None:
        self._search = search_of(plan)
        self._loop = asyncio.get_running_loop()
        self.asked = 0
        self.ninth = asyncio.Event()

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's points."""
        self.asked += 1
        if self.asked == 9:
            self._loop.call_soon_threadsafe(self.ninth.set)
        return self._search.ask(generation_number, count)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""


async def test_a_store_that_does_not_take_them_makes_the_search_wait() -> None:
    """So many trials wait for it and no more; nothing is lost when it is back."""
    assert MOST_WAITING == 8 * 256
    plan = make_plan(trial_count=3 * MOST_WAITING, generation_size=256)
    search = CountingSearch(plan)
    runner, store = claimed_runner(plan, ScriptedWorkers(), search=search)
    await runner.load()
    store.append_gate.clear()
    task = asyncio.ensure_future(runner.run())
    await search.ninth.wait()
    for _ in range(10_000):
        await asyncio.sleep(0)

    assert search.asked == 9
    assert runner.progress().finished_trial_count == 0
    store.append_gate.set()
    assert await task is StopReason.TRIAL_COUNT
    assert [one.number for one in store.kept["one"]] == list(range(3 * MOST_WAITING))


async def test_an_owner_whose_lease_was_taken_writes_nothing_more() -> None:
    """And it learns so with its next write."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers())
    await runner.load()
    store.records["one"] = replace(store.records["one"], lease_epoch=99)

    with pytest.raises(LeaseLostError):
        await runner.run()
    assert "one" not in store.kept


async def test_a_stop_that_the_store_tells_is_heeded() -> None:
    """Whoever wrote it, on whichever replica."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers())
    await runner.load()
    store.records["one"] = replace(store.records["one"], state=StudyState.STOPPING)

    assert await runner.run() is None
    assert 0 < len(store.kept["one"]) < 22
    runner.heed(Standing(StudyState.RUNNING, Limits(0)))
    assert runner.limits.trial_count == 22


async def test_a_point_tried_before_is_not_run_again() -> None:
    """Its trial has the first one's outcome and says so; no bar is run for it."""
    plan = make_plan(trial_count=120)
    workers = ScriptedWorkers()
    runner, store = claimed_runner(plan, workers)
    await runner.load()
    await runner.run()
    trials = store.kept["one"]
    again = [one for one in trials if one.reused_trial_number is not None]
    points = [tuple(point.values()) for call in workers.calls for point in call]

    assert len(again) > 10
    for one in again:
        first = trials[one.reused_trial_number or 0]
        assert first.number < one.number
        assert first.reused_trial_number is None
        assert one.parameters == first.parameters
        assert one.objective_values == first.objective_values
        assert one.outcome.metrics == first.outcome.metrics
        assert one.outcome.evaluated_bar_count == 0
    sound = [one for one in trials if one.state is TrialState.COMPLETE]
    ran = {tuple(one.parameters.values()) for one in sound}
    assert all(points.count(point) == 1 for point in ran)
    assert runner.progress().reused_trial_count == len(again)
