"""Windows side by side: each searches as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from services.optimizer.adapters.searches.choice import search_of
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.judge import Slot, judged
from services.optimizer.core.trial import Outcome, Point, Trial
from services.optimizer.core.walk_forward.rule import BarSpan, Span, WalkForward, Window
from services.optimizer.core.walk_forward.winners import best_of, front_of
from tests.unit.optimizer.in_memory import ScriptedWorkers, make_plan, outcome_of, timeless
from tests.unit.optimizer.runner_of import claimed_runner

WINDOWS = tuple(Window(Span(k, k + 10), Span(k + 10, k + 15)) for k in range(3))
RULE = WalkForward(BarSpan(10), BarSpan(5), windows=WINDOWS)


def inner_of(kind: SearchKind, trial_count: int = 20) -> StudyPlan:
    """Return the plan of one window."""
    return make_plan(
        search=kind,
        constraints=("fast_period < slow_period", "trade_count >= 60"),
        trial_count=trial_count,
    )


def shifted(point: Point, window: int) -> Outcome:
    """Return another market in every window."""
    return outcome_of({**point, "fast_period": float(point["fast_period"]) + 10 * window})


class WindowWorkers(ScriptedWorkers):
    """Scripted workers whose windows are different markets."""

    async def evaluate(
        self,
        points: Sequence[Point],
        bar_limit: int | None = None,
        window_number: int | None = None,
        dataset_number: int | None = None,
    ) -> list[Outcome]:
        """Return one outcome per point."""
        self.calls.append(list(points))
        if self.failures:
            raise self.failures.pop(0)
        assert window_number is not None
        await asyncio.sleep(0)
        return [shifted(point, window_number) for point in points]


async def run(plan: StudyPlan) -> list[Trial]:
    """Carry a plan out and return its trials."""
    runner, store = claimed_runner(plan, WindowWorkers(), search=search_of(plan))
    await runner.load()
    await runner.run()
    return timeless(await store.trials("one"))


def alone(plan: StudyPlan, window: int) -> list[tuple[Point, Outcome]]:
    """Return what a search alone in a window would try."""
    inner = plan.of_window(window)
    search = search_of(inner)
    told: list[tuple[Point, Outcome]] = []
    for generation in range(-(-inner.trial_count // inner.generation_size)):
        first = generation * inner.generation_size
        count = min(inner.generation_size, inner.trial_count - first)
        points = search.ask(generation, count)
        trials = [
            judged(inner, Slot(first + place, generation, 0), point, shifted(point, window))
            for place, point in enumerate(points)
        ]
        if count == inner.generation_size:
            search.tell(trials)
        told += [(trial.parameters, trial.outcome) for trial in trials]
    return told


@pytest.mark.parametrize(
    "kind", [SearchKind.GRID, SearchKind.RANDOM, SearchKind.BAYESIAN, SearchKind.BRUTE_FORCE]
)
async def test_each_window_tries_what_it_would_try_alone(kind: SearchKind) -> None:
    """Trial n of the study is trial n // 3 of window n mod 3, with that window's outcome."""
    plan = inner_of(kind).over(RULE)

    trials = await run(plan)

    assert len(trials) == plan.trial_count == 3 * inner_of(kind).trial_count
    for window in range(3):
        own = trials[window::3]
        assert {trial.window_number for trial in own} == {window}
        found = [(one.parameters, one.outcome.metrics) for one in own]
        assert found == [(point, out.metrics) for point, out in alone(plan, window)]


async def test_random_windows_draw_different_points() -> None:
    """Their seeds differ; a point of another window is never taken for one tried before."""
    plan = inner_of(SearchKind.RANDOM).over(RULE)
    assert len({plan.of_window(window).seed for window in range(3)}) == 3

    trials = await run(plan)

    assert [one.parameters for one in trials[0::3]] != [one.parameters for one in trials[1::3]]
    for trial in trials:
        if trial.reused_trial_number is not None:
            first = trials[trial.reused_trial_number]
            assert (first.parameters, first.window_number) == (
                trial.parameters,
                trial.window_number,
            )


@pytest.mark.parametrize("kind", [SearchKind.RANDOM, SearchKind.BAYESIAN])
async def test_a_longer_walk_begins_with_a_shorter_one(kind: SearchKind) -> None:
    """Seven trials per window are the first seven of twenty, though four make a generation."""
    shorter = await run(inner_of(kind, 7).over(RULE))
    longer = await run(inner_of(kind, 20).over(RULE))

    assert longer[: len(shorter)] == shorter


async def test_starting_points_come_first_in_every_window() -> None:
    """They are part of each window's trials."""
    given = {"fast_period": 10, "slow_period": 180}
    inner = replace(inner_of(SearchKind.BAYESIAN), starting_points=(given,))

    trials = await run(inner.over(RULE))

    assert [one.parameters for one in trials[:3]] == [given] * 3


async def test_the_best_trials_are_the_windows_winners() -> None:
    """The best feasible trial of each window, the lowest number among equals."""
    plan = inner_of(SearchKind.GRID).over(RULE)
    trials = await run(plan)
    front = front_of(plan)
    for trial in trials:
        front.add(trial)

    wanted = [
        max(
            (one for one in trials[window::3] if one.feasible),
            key=lambda one: (one.objective_values, -one.number),
        ).number
        for window in range(3)
    ]

    assert [one.number for one in front.trials] == wanted
    assert [one.number for one in front.copy().trials] == wanted
    assert best_of(plan, table_of(trials)).tolist() == wanted
    assert [one.parameters["fast_period"] for one in front.trials] == [20, 10, 5]


def table_of(trials: Sequence[Trial]) -> TrialTable:
    """Return what the choice of winners looks at."""
    count = len(trials)
    values = [one.objective_values or (np.nan,) for one in trials]
    return TrialTable(
        np.arange(count),
        np.zeros(count, np.int32),
        np.zeros(count, np.int8),
        np.array([one.feasible for one in trials]),
        np.array(values),
        {},
    )


async def test_a_window_without_feasible_trials_has_no_winner() -> None:
    """The others have theirs."""
    plan = inner_of(SearchKind.GRID).over(RULE)
    trials = [
        replace(one, feasible=one.feasible and one.window_number != 1) for one in await run(plan)
    ]

    winners = best_of(plan, table_of(trials))

    assert (winners % 3).tolist() == [0, 2]


async def test_what_is_to_be_done_at_the_end_is_done_once_with_the_winners() -> None:
    """Its failure is the study's."""
    plan = inner_of(SearchKind.GRID).over(RULE)
    runner, _ = claimed_runner(plan, WindowWorkers(), search=search_of(plan))
    told: list[list[int]] = []

    async def conclude(winners: Sequence[Trial]) -> None:
        told.append([one.number for one in winners])
        raise ValueError("broken")

    runner._conclude = conclude
    await runner.load()
    with pytest.raises(ValueError, match="broken"):
        await runner.run()

    assert told == [[one.number for one in runner.stored.best]]
    assert len(told[0]) == 3
