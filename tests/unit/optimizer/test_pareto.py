"""What several objectives have to be traded for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.optimizer.core.analysis.fronts import best_numbers
from services.optimizer.core.analysis.pareto import TradeOffs, reference_point, trade_offs
from services.optimizer.core.spec.objectives import Objective
from tests.unit.optimizer.tables import OBJECTIVES, table_of

BOTH_UP = (Objective("sharpe_ratio", maximize=True), Objective("trade_count", maximize=True))


def found_for(values: list[list[float]], objectives: tuple[Objective, ...]) -> TradeOffs:
    """Return the trade-offs of the front of trials with these values."""
    table = table_of(np.array(values).reshape(-1, len(objectives)))
    return trade_offs(table, best_numbers(table, objectives), objectives)


def test_ranks_regrets_and_knee_of_a_front_drawn_by_hand() -> None:
    """Sharpe up, drawdown down; trial 1 is dominated."""
    values = [[3.0, 0.5], [1.0, 0.45], [2.5, 0.2], [1.0, 0.1], [2.0, 0.18]]
    found = found_for(values, OBJECTIVES[:2])

    assert found.numbers.tolist() == [0, 2, 3, 4]
    assert found.objective_values.tolist() == [values[n] for n in (0, 2, 3, 4)]
    assert found.ranks.tolist() == [[1, 4], [2, 3], [4, 1], [3, 2]]
    assert found.regret_ratios == pytest.approx(
        np.array([[0.0, 1.0], [0.25, 0.25], [1.0, 0.0], [0.5, 0.2]])
    )
    assert found.knee == 2
    assert found.best_rank == 0


def test_equals_share_the_lower_rank_and_the_lower_number_wins() -> None:
    """Trials 0 and 2 are the same; all sums of ranks are equal."""
    found = found_for([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]], BOTH_UP)

    assert found.ranks.tolist() == [[2, 1], [1, 3], [2, 1]]
    assert found.best_rank == 0
    # All three are extremes: none is off the line.
    assert found.knee == 0


def test_distances_that_differ_by_rounding_are_equal() -> None:
    """Two mirrored knees: the lower number is told, though tenths are not exact."""
    for first, second in (([0.1, 0.7], [0.7, 0.1]), ([0.7, 0.1], [0.1, 0.7])):
        values = [[1.0, 0.0], [0.0, 1.0], [1 - first[0], 1 - first[1]]]
        values.append([1 - second[0], 1 - second[1]])
        assert found_for(values, BOTH_UP).knee == 2


@pytest.mark.parametrize(
    ("values", "knee", "best_rank"),
    [
        ([], None, None),
        ([[1.0, 1.0]], None, 0),
        ([[1.0, 2.0], [2.0, 1.0]], None, 0),
        ([[1.0, 1.0]] * 3, 0, 0),
    ],
)
def test_small_and_flat_fronts_have_trade_offs_too(
    values: list[list[float]], knee: int | None, best_rank: int | None
) -> None:
    """No knee below three trials; no regret where all are equal."""
    found = found_for(values, BOTH_UP)

    assert (found.knee, found.best_rank) == (knee, best_rank)
    assert found.ranks.shape == found.regret_ratios.shape == (len(values), 2)
    if len(values) in {1, 3}:
        assert not found.regret_ratios.any()
        assert (found.ranks == 1).all()


def test_an_objective_without_range_has_no_say_in_the_knee() -> None:
    """The knee is that of the two others."""
    values = [[0.0, 1.0], [0.75, 0.7], [1.0, 0.0]]
    flat = [[one, 5.0, two] for one, two in values]
    objectives = (BOTH_UP[0], OBJECTIVES[1], BOTH_UP[1])

    assert found_for(values, BOTH_UP).knee == found_for(flat, objectives).knee == 1


def test_the_knee_of_three_objectives_is_farthest_from_the_plane_of_the_three_extremes() -> None:
    """As the textbook's formula by cross product says."""
    source = np.random.default_rng(11)
    objectives = tuple(Objective(name, maximize=False) for name in "abc")
    for _ in range(20):
        points = np.abs(source.normal(size=(30, 3)))
        points /= (points**3).sum(axis=1, keepdims=True) ** (1 / 3)
        costs = 1.0 - points
        table = table_of(costs)
        front = best_numbers(table, objectives)
        held = costs[front]
        scaled = (held - held.min(axis=0)) / (held.max(axis=0) - held.min(axis=0))
        first, second, third = scaled[scaled.argmin(axis=0)]
        normal = np.cross(second - first, third - first)
        distances = np.abs((scaled - first) @ normal) / np.sqrt(normal @ normal)

        assert trade_offs(table, front, objectives).knee == front[distances.argmax()]


def test_extremes_that_span_no_plane_weigh_objectives_equally() -> None:
    """Trial 0 is best in two objectives of three: the plane is that of the equal sum through it."""
    objectives = tuple(Objective(name, maximize=False) for name in "abc")
    values = [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.1, 0.2, 0.3], [0.2, 0.1, 0.4]]

    assert found_for(values, objectives).knee == 1


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=25),
    width=st.integers(2, 4),
)
def test_every_front_has_sane_trade_offs(rows: list[list[int]], width: int) -> None:
    """Regrets from 0 to 1, someone without regret in each objective, a knee on the front."""
    found = found_for([[float(value) for value in row[:width]] for row in rows], OBJECTIVES[:width])

    assert ((found.regret_ratios >= 0) & (found.regret_ratios <= 1)).all()
    assert (found.regret_ratios.min(axis=0) == 0).all()
    assert (found.ranks.min(axis=0) == 1).all()
    assert ((found.ranks == 1) == (found.regret_ratios == 0)).all()
    assert (found.knee is None) == (len(found.numbers) < 3)
    assert found.knee is None or found.knee in found.numbers
    sums: npt.NDArray[np.int64] = found.ranks.sum(axis=1)
    assert found.best_rank == found.numbers[sums == sums.min()][0]


def test_the_reference_is_the_worst_feasible_value_of_each_objective() -> None:
    """Whoever reached it; nothing without feasible trials."""
    values = [[3.0, 0.5], [1.0, 0.4], [2.0, 0.7], [-9.0, 9.0]]
    table = table_of(values, feasible=[True, True, True, False])

    assert reference_point(table, OBJECTIVES[:2]).tolist() == [1.0, 0.7]
    assert reference_point(table_of(values, states=[2] * 4), OBJECTIVES[:2]).tolist() == []
