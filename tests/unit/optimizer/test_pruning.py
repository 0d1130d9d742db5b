"""Giving poor trials up early: decided by finished generations, and by nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.optimizer.core.spec.draft import PruningKind, PruningRule
from services.optimizer.core.study.pruning import Pruner
from services.optimizer.core.study.rungs import outcomes_over_rungs
from services.optimizer.core.trial import IntermediateValue, Outcome, Point, Trial, TrialState
from tests.unit.optimizer.in_memory import WINDOW_BARS, ScriptedWorkers, make_plan, timeless
from tests.unit.optimizer.memory_store import MemoryStore
from tests.unit.optimizer.runner_of import claimed_runner

MEDIAN = PruningRule(PruningKind.MEDIAN, startup_trial_count=8, rung_bar_counts=(125, 250))
PLAN = make_plan(trial_count=80, generation_size=8, pruning=MEDIAN)


def seen(values: Sequence[float | None]) -> list[Trial]:
    """Return trials with these values at the rung of 125 bars."""
    outcome = Outcome()
    return [
        Trial(
            number,
            0,
            {},
            TrialState.COMPLETE,
            (),
            (),
            True,
            replace(outcome, intermediate_values=(IntermediateValue(125, value),)),
            0,
            0,
        )
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_median_rule_gives_up_what_is_worse_than_the_median(maximize: bool) -> None:
    """Equal to it is good enough, and what has no value is never given up."""
    values = [3.0, 1.0, 2.0, 8.0, 5.0, 7.0, 4.0, 6.0, None]
    pruner = Pruner(MEDIAN, maximize=maximize)
    pruner.tell(seen(values))
    median = statistics.median([one for one in values if one is not None])
    sign = 1 if maximize else -1

    assert not pruner.gives_up(125, median)
    assert pruner.gives_up(125, median - sign * 1e-9)
    assert not pruner.gives_up(125, median + sign * 1e-9)
    assert not pruner.gives_up(125, None)


def test_nothing_is_given_up_before_enough_was_seen() -> None:
    """Seven values are one too few; the other rung has none."""
    pruner = Pruner(MEDIAN, maximize=True)
    pruner.tell(seen([1.0] * 7))
    assert not pruner.gives_up(125, -9.0)
    pruner.tell(seen([1.0]))
    assert pruner.gives_up(125, -9.0)
    assert not pruner.gives_up(250, -9.0)


def test_a_percentile_keeps_the_best_part() -> None:
    """25 % of 8 values are 2."""
    rule = replace(MEDIAN, kind=PruningKind.PERCENTILE, kept_percent=25.0)
    pruner = Pruner(rule, maximize=True)
    pruner.tell(seen([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))

    assert not pruner.gives_up(125, 7.0)
    assert pruner.gives_up(125, 6.9)


def test_halving_keeps_the_best_one_of_so_many() -> None:
    """With a factor of 4, 2 of 8; at least one."""
    rule = replace(MEDIAN, kind=PruningKind.SUCCESSIVE_HALVING, reduction_factor=4)
    pruner = Pruner(rule, maximize=False)
    pruner.tell(seen([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))

    assert not pruner.gives_up(125, 2.0)
    assert pruner.gives_up(125, 2.1)


async def test_a_pruned_study_finds_the_same_best_with_fewer_bars() -> None:
    """Scripted trials are as good over any number of bars, so that the best is never given up."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers())
    await runner.load()
    await runner.run()
    plain, plain_store = claimed_runner(replace(PLAN, pruning=None), ScriptedWorkers())
    await plain.load()
    await plain.run()
    pruned = [one for one in store.kept["one"] if one.state is TrialState.PRUNED]

    assert len(store.kept["one"]) == 80
    assert runner.stored.best[0].parameters == plain.stored.best[0].parameters
    assert runner.progress().pruned_trial_count == len(pruned) > 10
    assert runner.progress().evaluated_bar_count < plain.progress().evaluated_bar_count
    run = [one for one in plain_store.kept["one"] if one.reused_trial_number is None]
    assert plain.progress().evaluated_bar_count == WINDOW_BARS * len(run)


async def test_pruned_trials_say_how_far_they_came() -> None:
    """Their last rung's metrics and values at each rung, no objective, and they are never best."""
    runner, store = claimed_runner(PLAN, ScriptedWorkers())
    await runner.load()
    await runner.run()
    kept = store.kept["one"]

    for one in kept:
        rungs = [value.bar_count for value in one.outcome.intermediate_values]
        if one.state is TrialState.PRUNED:
            assert rungs in ([125], [125, 250])
            assert one.objective_values == ()
            assert not one.feasible
            assert one.outcome.metrics
            if one.reused_trial_number is None:
                assert one.outcome.evaluated_bar_count == sum(rungs)
        else:
            assert rungs == [125, 250]


@pytest.mark.parametrize("shuffle", [1, 2, 3])
async def test_what_is_given_up_does_not_depend_on_who_finishes_first(shuffle: int) -> None:
    """Nor on a kill in the middle: the rungs are learnt again from the store."""
    whole, whole_store = claimed_runner(PLAN, ScriptedWorkers())
    await whole.load()
    await whole.run()
    store = MemoryStore()
    first, _ = claimed_runner(PLAN, ScriptedWorkers(shuffle), store)
    await first.load()
    store.appended = first.stop.set
    await first.run()
    assert 0 < len(store.kept["one"]) < 80
    store.appended = lambda: None
    second, _ = claimed_runner(PLAN, ScriptedWorkers(shuffle + 9), store)
    await second.load()
    await second.run()

    assert timeless(store.kept["one"]) == timeless(whole_store.kept["one"])
    assert second.stored.digest.hexdigest() == whole.stored.digest.hexdigest()


async def test_a_point_that_takes_too_long_at_a_rung_ends_there() -> None:
    """It would take as long at every later one."""
    calls: list[int | None] = []

    async def run(points: Sequence[Point], bar_limit: int | None) -> list[Outcome]:
        calls.append(bar_limit)
        return [Outcome(failure_reason="TRIAL_TIMED_OUT", failure_message="slow")] * len(points)

    pruner = Pruner(MEDIAN, maximize=True)
    (outcome,) = await outcomes_over_rungs([{}], run, PLAN.objectives[0], pruner)

    assert calls == [125]
    assert (outcome.failure_reason, outcome.pruned) == ("TRIAL_TIMED_OUT", False)
    assert outcome.intermediate_values == (IntermediateValue(125, None),)
