"""States, tallies, orders and probes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from services.optimizer.core.analysis.trial_order import (
    TrialOrder,
    ordered,
    parameters_at_edge,
    read_order,
)
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyState
from services.optimizer.core.spec.objectives import Front
from services.optimizer.core.spec.probe import MOST_CATEGORY_POINTS, corner_points
from services.optimizer.core.spec.space import Categories, DoubleRange, IntRange, Parameter, Space
from services.optimizer.core.study.judge import Slot, judged
from services.optimizer.core.study.lifecycle import FINAL_STATES, NEXT_STATES, may_become
from services.optimizer.core.study.tally import Tally
from services.optimizer.core.trial import Outcome, TrialState
from tests.unit.optimizer.in_memory import (
    METRICS,
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


TABLE = TrialTable(
    numbers=np.arange(50),
    generation_numbers=np.arange(50, dtype=np.int32) // 4,
    states=np.array([one.state.value for one in TRIALS], dtype=np.int8),
    feasible=np.array([one.feasible for one in TRIALS]),
    objective_values=np.zeros((50, 1)),
    parameters={},
    metrics={
        "sharpe_ratio": np.array(
            [one.outcome.metrics.get("sharpe_ratio", np.nan) for one in TRIALS]
        )
    },
)


def test_only_studies_at_rest_may_begin_again() -> None:
    """Everything alive can fail."""
    for state, following in itertools.product(StudyState, StudyState):
        assert may_become(state, following) == (following in NEXT_STATES[state])
    assert {one for one in StudyState if may_become(one, StudyState.PENDING)} == FINAL_STATES
    assert {one for one in StudyState if may_become(one, StudyState.FAILED)} == (
        set(StudyState) - FINAL_STATES
    )


def test_a_tally_counts_what_it_is_given() -> None:
    """Failed, pruned, infeasible and reused trials apart, the best from all, the bars run."""
    pruned = replace(
        TRIALS[7],
        state=TrialState.PRUNED,
        feasible=False,
        outcome=Outcome(pruned=True, evaluated_bar_count=250),
    )
    reused = replace(TRIALS[8], reused_trial_number=1)
    trials = [*TRIALS[:7], pruned, reused, *TRIALS[9:]]
    tally = Tally(Front(PLAN.objectives))
    for first in range(0, len(trials), 4):
        tally = tally.with_trials(trials[first : first + 4])
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    feasible = [trial for trial in trials if trial.feasible]

    assert (tally.finished, tally.generations, tally.pruned, tally.reused) == (50, 13, 1, 1)
    assert tally.failed == len(failed) > 0
    assert tally.infeasible == 50 - len(failed) - len(feasible) - 1 > 0
    assert tally.evaluated_bars == 250
    best = max(feasible, key=lambda trial: (trial.objective_values[0], -trial.number))
    assert tally.best == (best,)
    assert tally.unchanged == 49 - best.number
    assert tally.progress(60).pruned_trial_count == 1


def test_a_tally_does_not_change_under_its_holder() -> None:
    """It grows by copies."""
    first = Tally(Front(PLAN.objectives)).with_trials(TRIALS[:4])
    before = (first.finished, first.best, first.digest.hexdigest())
    first.with_trials(TRIALS[4:8])

    assert (first.finished, first.best, first.digest.hexdigest()) == before


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
    values = [one.outcome.metrics.get("sharpe_ratio") for one in TRIALS]
    defined = [number for number, value in enumerate(values) if value is not None]
    without = [number for number, value in enumerate(values) if value is None]
    for falling, sign in ((False, 1), (True, -1)):
        found = ordered(TABLE, TrialOrder("sharpe_ratio", falling), None).tolist()
        wanted = sorted(defined, key=lambda number: (sign * (values[number] or 0.0), number))

        assert found == wanted + without


def test_trials_in_a_state_come_by_number_both_ways() -> None:
    """Others are not there."""
    failed = [one.number for one in TRIALS if one.state is TrialState.FAILED]

    assert ordered(TABLE, TrialOrder(), TrialState.FAILED).tolist() == failed
    assert ordered(TABLE, TrialOrder(falling=True), TrialState.FAILED).tolist() == failed[::-1]


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
