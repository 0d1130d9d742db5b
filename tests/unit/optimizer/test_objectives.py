"""Best trials and Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.objectives import Objective, best_first, pareto_front
from services.optimizer.core.trial import Outcome, Trial, TrialState

METRICS = ("sharpe_ratio", "max_drawdown_ratio", "trade_count", "cagr_ratio")


def trial(number: int, values: Sequence[float], *, feasible: bool = True) -> Trial:
    """Return a complete trial with these objective values."""
    return Trial(number, 0, {}, TrialState.COMPLETE, tuple(values), (), feasible, Outcome(), 0, 0)


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

    assert list(pareto_front(trials, objectives)) == wanted
    assert best_first(trials, objectives) == wanted


@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=30), maximize=st.booleans())
def test_one_objective_has_one_best_the_first_among_equals(
    values: list[int], maximize: bool
) -> None:
    """And the list of the best falls in merit, lower numbers first among equals."""
    objectives = [Objective("sharpe_ratio", maximize)]
    trials = [trial(number, [value]) for number, value in enumerate(values)]
    best = max(values) if maximize else min(values)
    ranked = best_first(trials, objectives)

    assert [one.number for one in pareto_front(trials, objectives)] == [values.index(best)]
    assert ranked[0].number == values.index(best)
    keys = [((-1 if maximize else 1) * one.objective_values[0], one.number) for one in ranked]
    assert keys == sorted(keys)


def test_infeasible_trials_are_never_best() -> None:
    """However good they look."""
    objectives = [Objective("sharpe_ratio", maximize=True)]
    trials = [trial(0, [9.0], feasible=False), trial(1, [1.0])]

    assert [one.number for one in pareto_front(trials, objectives)] == [1]
    assert best_first(trials[:1], objectives) == []
