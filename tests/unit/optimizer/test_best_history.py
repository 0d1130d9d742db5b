"""How the best of a study came about, generation by generation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.optimizer.adapters.analysis.hypervolume import hypervolume
from services.optimizer.core.analysis import best_history
from services.optimizer.core.analysis.best_history import best_value_history, hypervolume_history
from services.optimizer.core.spec.objectives import Front, Objective
from services.optimizer.core.trial import Outcome, Trial, TrialState
from tests.unit.optimizer.tables import OBJECTIVES, table_of

Floats = npt.NDArray[np.float64]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=30),
    maximize=st.booleans(),
    size=st.integers(1, 7),
)
def test_the_best_value_of_each_generation_is_that_of_the_front_then(
    rows: list[tuple[int, bool]], maximize: bool, size: int
) -> None:
    """From the first feasible trial on."""
    objective = Objective("sqn", maximize=maximize)
    table = table_of(
        np.array([float(value) for value, _ in rows]).reshape(-1, 1),
        feasible=[one for _, one in rows],
        generation_size=size,
    )
    front, wanted = Front([objective]), []
    for first in range(0, len(rows), size):
        for number, (value, feasible) in enumerate(rows[first : first + size], first):
            state = TrialState.COMPLETE
            front.add(Trial(number, 0, {}, state, (float(value),), (), feasible, Outcome(), 0, 0))
        wanted += [trial.objective_values[0] for trial in front.trials]

    assert best_value_history(table, objective) == wanted


def test_of_equal_zeros_the_first_is_the_best() -> None:
    """With its sign."""
    for values in ([[-0.0], [0.0]], [[0.0], [-0.0]]):
        for maximize in (True, False):
            (found,) = best_value_history(table_of(values), Objective("sqn", maximize=maximize))
            assert math.copysign(1.0, found) == math.copysign(1.0, values[0][0])


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.lists(st.integers(0, 4), min_size=4, max_size=4), st.booleans()), max_size=14
    ),
    width=st.integers(2, 4),
)
def test_the_volume_is_the_count_of_dominated_unit_cells(
    rows: list[tuple[list[int], bool]], width: int
) -> None:
    """On whole numbers a volume can be counted; once per generation, before feasible trials 0."""
    objectives = OBJECTIVES[:width]
    signs = [-1 if one.maximize else 1 for one in objectives]
    costs = [tuple(s * v for s, v in zip(signs, row, strict=False)) for row, _ in rows]
    feasible = [one for _, one in rows]
    table = table_of(
        np.array([row[:width] for row, _ in rows], dtype=float).reshape(-1, width),
        feasible=feasible,
        generation_size=3,
    )
    good = [cost for cost, one in zip(costs, feasible, strict=True) if one]
    worst = [max(column) for column in zip(*good, strict=True)]
    cells = list(itertools.product(*(range(-5, top) for top in worst)))
    wanted = [
        sum(
            any(one and all(a <= b for a, b in zip(cost, cell, strict=True)) for cost, one in seen)
            for cell in cells
        )
        for last in range(3, len(rows) + 3, 3)
        for seen in [list(zip(costs, feasible, strict=True))[:last]]
    ]
    found = hypervolume_history(table, objectives, hypervolume)

    assert found == (pytest.approx(wanted) if good else [])
    assert found == sorted(found)


def test_the_volume_is_computed_where_the_front_changed() -> None:
    """Never for generations that only repeat or lose."""
    asked: list[int] = []

    def counted(costs: Floats, reference: Floats) -> float:
        asked.append(len(costs))
        return hypervolume(costs, reference)

    values = [[1.0, 1.0], [2.0, 9.0], [1.0, 1.0], [0.5, 5.0], [3.0, 2.0], [3.0, 2.0]]
    found = hypervolume_history(table_of(values, generation_size=2), OBJECTIVES[:2], counted)

    assert asked == [2, 2]
    assert found == [4.0, 4.0, 18.0]


def test_rounding_never_makes_the_volume_fall() -> None:
    """Whatever the computation says."""
    volumes = iter([5.0, 4.999999999999, 6.0])
    values = [[1.0, 9.0], [2.0, 10.0], [3.0, 11.0]]
    table = table_of(values, generation_size=1)

    assert hypervolume_history(table, OBJECTIVES[:2], lambda *_: next(volumes)) == [5.0, 5.0, 6.0]


def test_a_history_that_would_take_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the size of the front of more than two objectives, and by the cells in all."""
    angles = np.linspace(0.1, 1.4, 40)
    circle = np.column_stack((np.cos(angles), -np.sin(angles)))
    assert len(hypervolume_history(table_of(circle), OBJECTIVES[:2], hypervolume)) == 10

    monkeypatch.setattr(best_history, "MOST_MEMBERS", 39)
    cylinder = np.column_stack((circle, np.ones(40)))
    assert len(hypervolume_history(table_of(circle), OBJECTIVES[:2], hypervolume)) == 10
    assert hypervolume_history(table_of(cylinder), OBJECTIVES[:3], hypervolume) == []

    monkeypatch.setattr(best_history, "MOST_CELLS", 4 + 8 + 12 + 16)
    assert hypervolume_history(table_of(circle), OBJECTIVES[:2], hypervolume) == []
    assert len(hypervolume_history(table_of(circle[:16]), OBJECTIVES[:2], hypervolume)) == 4
