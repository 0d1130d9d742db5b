"""Best trials and Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.analysis.fronts import best_numbers
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Front, Objective
from services.optimizer.core.trial import Outcome, Trial, TrialState

METRICS = ("sharpe_ratio", "max_drawdown_ratio", "trade_count", "cagr_ratio")


def trial(number: int, values: Sequence[float], *, feasible: bool = True) -> Trial:
    """Return a complete trial with these objective values."""
    return Trial(number, 0, {}, TrialState.COMPLETE, tuple(values), (), feasible, Outcome(), 0, 0)


def front_of(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Return the front of trials added one by one."""
    front = Front(objectives)
    for one in trials:
        front.add(one)
    return list(front.trials)


def best_of(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Return the best of all trials at once."""
    table = TrialTable(
        numbers=np.arange(len(trials)),
        generation_numbers=np.zeros(len(trials), dtype=np.int32),
        states=np.ones(len(trials), dtype=np.int8),
        feasible=np.array([one.feasible for one in trials], dtype=bool),
        objective_values=np.array([one.objective_values for one in trials]).reshape(
            -1, len(objectives)
        ),
        parameters={},
    )
    return [trials[number] for number in best_numbers(table, objectives)]


def dominates(first: Trial, second: Trial, objectives: Sequence[Objective]) -> bool:
    """Say it the slow and obvious way."""
    pairs = [
        (a, b) if one.maximize else (-a, -b)
        for a, b, one in zip(
            first.objective_values, second.objective_values, objectives, strict=True
        )
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@given(
    rows=st.lists(
        st.tuples(st.lists(st.integers(0, 4), min_size=4, max_size=4), st.booleans()),
        max_size=40,
    ),
    directions=st.lists(st.booleans(), min_size=2, max_size=4),
)
def test_the_front_is_what_brute_force_leaves(
    rows: list[tuple[list[int], bool]], directions: list[bool]
) -> None:
    """No feasible trial beats a member, and every trial outside is beaten; by rising number."""
    objectives = [Objective(metric, up) for metric, up in zip(METRICS, directions, strict=False)]
    trials = [
        trial(number, values[: len(objectives)], feasible=feasible)
        for number, (values, feasible) in enumerate(rows)
    ]
    feasible = [one for one in trials if one.feasible]
    wanted = [
        one for one in feasible if not any(dominates(other, one, objectives) for other in feasible)
    ]

    assert front_of(trials, objectives) == wanted
    assert best_of(trials, objectives) == wanted


@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=30), maximize=st.booleans())
def test_one_objective_has_one_best_the_first_among_equals(
    values: list[int], maximize: bool
) -> None:
    """And the list of the best falls in merit, lower numbers first among equals."""
    objectives = [Objective("sharpe_ratio", maximize)]
    trials = [trial(number, [value]) for number, value in enumerate(values)]
    best = max(values) if maximize else min(values)
    ranked = best_of(trials, objectives)

    assert [one.number for one in front_of(trials, objectives)] == [values.index(best)]
    assert ranked[0].number == values.index(best)
    keys = [((-1 if maximize else 1) * one.objective_values[0], one.number) for one in ranked]
    assert keys == sorted(keys)


def test_infeasible_trials_are_never_best() -> None:
    """However good they look."""
    objectives = [Objective("sharpe_ratio", maximize=True)]
    trials = [trial(0, [9.0], feasible=False), trial(1, [1.0])]

    assert [one.number for one in front_of(trials, objectives)] == [1]
    assert best_of(trials[:1], objectives) == []
