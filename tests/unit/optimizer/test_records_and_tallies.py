"""States, tallies, orders, probes and the cache of trials."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from services.optimizer.core.judge import Slot, judged
from services.optimizer.core.lifecycle import FINAL_STATES, NEXT_STATES, may_become
from services.optimizer.core.objectives import Objective, pareto_front
from services.optimizer.core.ports import StudyState
from services.optimizer.core.probe import MOST_CATEGORY_POINTS, corner_points
from services.optimizer.core.space import Categories, DoubleRange, IntRange, Parameter, Space
from services.optimizer.core.tally import generations_of, tally_of
from services.optimizer.core.trial import Trial, TrialState
from services.optimizer.core.trial_cache import TrialCache
from services.optimizer.core.trial_order import (
    TrialOrder,
    ordered,
    parameters_at_edge,
    read_order,
)
from tests.unit.optimizer.in_memory import (
    METRICS,
    MemoryStore,
    fixed,
    make_plan,
    outcome_of,
    search_of,
)

PLAN = make_plan(constraints=["trade_count >= 60"], trial_count=50)
POINTS = search_of(PLAN).ask(0, 50)
TRIALS = [
    judged(PLAN, Slot(number, number // 4, 0, 0), point, outcome_of(point))
    for number, point in enumerate(POINTS)
]


def test_only_studies_at_rest_may_begin_again() -> None:
    """And a succeeded one never; everything alive can fail."""
    for state, following in itertools.product(StudyState, StudyState):
        assert may_become(state, following) == (following in NEXT_STATES[state])
    assert {one for one in StudyState if may_become(one, StudyState.PENDING)} == {
        StudyState.STOPPED,
        StudyState.FAILED,
    }
    assert {one for one in StudyState if may_become(one, StudyState.FAILED)} == (
        set(StudyState) - FINAL_STATES
    )


def test_a_tally_counts_what_it_is_given() -> None:
    """Failed and infeasible trials apart, the best from all, the history per generation."""
    tally = tally_of(TRIALS, PLAN)
    failed = [trial for trial in TRIALS if trial.state is TrialState.FAILED]
    feasible = [trial for trial in TRIALS if trial.feasible]
    history = [
        max(
            (one.objective_values[0] for one in TRIALS[: 4 * count + 4] if one.feasible),
            default=None,
        )
        for count in range(13)
    ]

    assert (tally.finished, tally.generations) == (50, 13)
    assert tally.failed == len(failed) > 0
    assert tally.infeasible == 50 - len(failed) - len(feasible) > 0
    assert tally.best == pareto_front(TRIALS, PLAN.objectives)
    assert list(tally.history) == [value for value in history if value is not None]


def test_a_tally_of_several_objectives_has_no_history() -> None:
    """There is no one best value."""
    plan = replace(PLAN, objectives=(*PLAN.objectives, Objective("trade_count", maximize=True)))
    trials = [
        judged(plan, Slot(number, number // 4, 0, 0), point, outcome_of(point))
        for number, point in enumerate(POINTS)
    ]

    assert tally_of(trials, plan).history == ()
    assert tally_of(trials, plan).best == pareto_front(trials, plan.objectives)


def test_a_tally_does_not_change_under_its_holder() -> None:
    """It grows by copies."""
    first = tally_of(TRIALS[:4], PLAN)
    before = (first.finished, first.best, first.digest.hexdigest())
    first.with_generation(TRIALS[4:8])

    assert (first.finished, first.best, first.digest.hexdigest()) == before


def test_stored_trials_are_cut_into_their_generations() -> None:
    """As they were asked."""
    for generation in generations_of(TRIALS, PLAN):
        assert len({trial.generation_number for trial in generation}) == 1


@pytest.mark.parametrize("text", ["", "number", "  number "])
def test_the_default_order_is_by_number(text: str) -> None:
    """Rising."""
    assert read_order(text, METRICS) == TrialOrder()


@pytest.mark.parametrize(
    "text", ["desc", "number asc", "sharpe_ratio desc desc", "sharp_ratio", "sharpe_ratio, number"]
)
def test_other_orders_are_refused(text: str) -> None:
    """The grammar is one word and perhaps another."""
    with pytest.raises(ValueError, match=r"must be|no metric"):
        read_order(text, METRICS)


def test_a_metric_orders_trials_and_leaves_those_without_it_last() -> None:
    """Equals by rising number, both ways."""
    without = {trial.number for trial in TRIALS if "sharpe_ratio" not in trial.outcome.metrics}
    for falling in (False, True):
        found = ordered(TRIALS, TrialOrder("sharpe_ratio", falling), None)
        values = [one.outcome.metrics.get("sharpe_ratio") for one in found]
        defined = [value for value in values if value is not None]

        assert defined == sorted(defined, reverse=falling)
        assert [one.number for one in found[len(defined) :]] == sorted(without)
        for first, second in itertools.pairwise(found[: len(defined)]):
            if first.objective_values == second.objective_values:
                assert first.number < second.number


def test_edges_are_ends_of_ranges_with_more_than_one_value() -> None:
    """Words and fixed values have none."""
    space = Space(
        (
            Parameter("low", IntRange(1, 5)),
            Parameter("high", DoubleRange(0.0, 1.0, 0.1)),
            Parameter("inner", IntRange(1, 5)),
            Parameter("single", IntRange(3, 3)),
            Parameter("word", Categories(("a", "b"))),
            fixed("fixed", 1),
        )
    )
    best = replace(
        TRIALS[0],
        parameters={
            "low": 1,
            "high": 1.0,
            "inner": 2,
            "single": 3,
            "word": "a",
            "fixed": 1,
        },
    )

    assert parameters_at_edge(make_plan(space), best) == ["low", "high"]


def test_corners_are_every_combination_of_words_and_the_low_end() -> None:
    """With at most 64 combinations."""
    words = Categories(tuple("abcde"))
    space = Space(
        (
            Parameter("period", IntRange(2, 90)),
            Parameter("first", words),
            Parameter("second", words),
            fixed("fixed", 7),
        )
    )
    wide = Space((*space.parameters, Parameter("third", words)))
    corners = corner_points(space)

    assert len(corners) == 26
    assert {(one["first"], one["second"]) for one in corners} == set(
        itertools.product("abcde", "abcde")
    )
    assert {one["period"] for one in corners[:-1]} == {90}
    assert corners[-1] == {"period": 2, "first": "a", "second": "a", "fixed": 7}
    assert len(corner_points(wide)) == MOST_CATEGORY_POINTS + 1


class SlowStore(MemoryStore):
    """A store whose reads of trials may be overtaken by a write."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.during_read: list[Sequence[Trial]] = []
        self.overtake: Callable[[], None] = lambda: None

    async def trials(self, study_id: str) -> Sequence[Trial]:
        """Read, then let somebody write before answering."""
        self.reads += 1
        found = await super().trials(study_id)
        await asyncio.sleep(0)
        if self.during_read:
            fresh = self.during_read.pop()
            self.kept[study_id] = [*found, *fresh]
            self.cache.extend(study_id, fresh)
        self.overtake()
        return found

    cache: TrialCache


@pytest.mark.parametrize("seen", [4, 6, 8])
async def test_a_generation_stored_during_a_read_is_not_lost(seen: int) -> None:
    """Nor counted twice, whether or not the read has seen it."""
    store = SlowStore()
    store.cache = TrialCache(store)
    store.kept["one"] = list(TRIALS[:seen])
    store.during_read = [TRIALS[4:8]]
    found = await store.cache.trials("one")
    store.cache.extend("one", TRIALS[8:12])

    assert list(found) == TRIALS[:8]
    store.cache.extend("one", TRIALS[8:12])
    assert list(await store.cache.trials("one")) == TRIALS[:12]
    assert store.reads == 1


async def test_a_study_deleted_during_a_read_is_not_held() -> None:
    """Its namesake has its own trials."""
    store = SlowStore()
    store.cache = TrialCache(store)
    store.kept["one"] = list(TRIALS[:4])

    def delete_once() -> None:
        store.kept.clear()
        store.cache.forget("one")
        store.overtake = lambda: None

    store.overtake = delete_once
    found = await store.cache.trials("one")
    store.cache.extend("one", TRIALS[:2])

    assert list(found) == []
    assert list(await store.cache.trials("one")) == TRIALS[:2]


async def test_the_cache_holds_so_many_trials_only() -> None:
    """The study used longest ago goes first; a single larger one is held all the same."""
    store = SlowStore()
    store.cache = TrialCache(store, capacity=11)
    store.kept = {"a": TRIALS[:4], "b": TRIALS[:4], "c": TRIALS[:4], "large": TRIALS[:20]}
    for study_id in ("a", "b", "a", "c", "a", "b"):
        await store.cache.trials(study_id)

    assert store.reads == 4
    for _ in range(2):
        await store.cache.trials("large")
    assert store.reads == 5
