"""The best of many trials at once, against the slow and obvious way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.optimizer.core.analysis.fronts import best_numbers, covered, distinct, on_front
from services.optimizer.core.spec.objectives import Front, Objective
from services.optimizer.core.trial import Outcome, Trial, TrialState
from tests.unit.optimizer.tables import OBJECTIVES, table_of


def beaten(costs: npt.NDArray[np.float64]) -> list[bool]:
    """Tell which rows another dominates, pair by pair."""
    return [bool(((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any()) for row in costs]


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(st.integers(-2, 3), min_size=4, max_size=4), max_size=40),
    width=st.integers(1, 4),
)
def test_the_front_is_what_nothing_beats(rows: list[list[int]], width: int) -> None:
    """Equal rows are on it together."""
    costs = np.array(rows, dtype=np.float64).reshape(-1, 4)[:, :width]

    assert (~on_front(costs)).tolist() == beaten(costs)


@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize("values", [4, 40, 10**9])
def test_large_fronts_are_found_by_halves(width: int, values: int) -> None:
    """The same with few values, where most rows tie, as with many."""
    source = np.random.default_rng(width)
    random = source.integers(0, values, (1_500, width)).astype(np.float64)
    sphere = np.abs(source.normal(size=(600, width)))
    sphere = np.round(sphere / np.sqrt((sphere**2).sum(axis=1))[:, None] * values)

    for costs in (random, sphere):
        assert (~on_front(costs)).tolist() == beaten(costs)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_covered_rows_have_one_nowhere_larger(width: int) -> None:
    """Equal ones among them."""
    source = np.random.default_rng(3)
    by = source.integers(50, 900, (400, width)).astype(np.float64)
    rows = np.vstack((source.integers(0, 900, (400, width)).astype(np.float64), by[:10]))
    wanted = [bool((by <= row).all(axis=1).any()) for row in rows]

    assert covered(by, rows).tolist() == wanted
    assert 10 < sum(wanted) < 410
    assert not covered(by[:0], rows).any()


def test_distinct_rows_are_sorted_and_alone() -> None:
    """Whatever came in."""
    rows = np.array([[2.0, 1.0], [1.0, 5.0], [2.0, 1.0], [1.0, 4.0]])

    assert distinct(rows).tolist() == [[1.0, 4.0], [1.0, 5.0], [2.0, 1.0]]
    assert distinct(rows[:0]).shape == (0, 2)


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.lists(st.integers(0, 4), min_size=4, max_size=4), st.booleans()), max_size=30
    ),
    width=st.integers(1, 4),
)
def test_the_best_numbers_are_those_of_the_front_trial_by_trial(
    rows: list[tuple[list[int], bool]], width: int
) -> None:
    """Of feasible trials only; for one objective the front's trial leads the list."""
    objectives = OBJECTIVES[:width]
    values = [[float(value) for value in row[:width]] for row, _ in rows]
    table = table_of(
        np.array(values).reshape(-1, width), feasible=[one for _, one in rows], generation_size=8
    )
    front = Front(objectives)
    for number, (value, (_, feasible)) in enumerate(zip(values, rows, strict=True)):
        front.add(
            Trial(number, 0, {}, TrialState.COMPLETE, tuple(value), (), feasible, Outcome(), 0, 0)
        )
    found = best_numbers(table, objectives).tolist()

    assert found[: len(front.trials)] == [trial.number for trial in front.trials]
    if width > 1:
        assert len(found) == len(front.trials)


@pytest.mark.parametrize("maximize", [True, False])
def test_one_objective_lists_all_feasible_trials_by_merit(maximize: bool) -> None:
    """Lower numbers first among equals, whichever the direction; zeros are equal whatever sign."""
    values = [[1.0], [0.0], [2.0], [-0.0], [1.0], [9.0]]
    table = table_of(values, feasible=[True] * 5 + [False])
    found = best_numbers(table, [Objective("sharpe_ratio", maximize=maximize)])

    assert found.dtype == np.int64
    assert found.tolist() == ([2, 0, 4, 1, 3] if maximize else [1, 3, 0, 4, 2])


def test_nobody_is_best_among_none() -> None:
    """Neither without trials nor without feasible ones."""
    for width in (1, 2):
        assert best_numbers(table_of(np.empty((0, width))), OBJECTIVES[:width]).tolist() == []
        none = table_of([[1.0] * width, [2.0] * width], states=[2, 3])
        assert best_numbers(none, OBJECTIVES[:width]).tolist() == []
