"""The best neighbourhood: a planted plateau beats a planted spike; what is run is bounded."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from services.optimizer.core.analysis.fronts import best_numbers
from services.optimizer.core.analysis.luck.neighborhood import neighbors, summary
from services.optimizer.core.analysis.recommendation.choices import Absent, ChoiceKind
from services.optimizer.core.analysis.recommendation.surroundings import (
    MOST_BARS,
    MOST_SETS,
    candidates,
    neighborhood_pick,
    surroundings,
)
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import Categories, IntRange, Parameter, Space
from services.optimizer.core.trial import Point
from tests.unit.optimizer.in_memory import make_plan
from tests.unit.optimizer.tables import table_of

SPACE = Space((Parameter("a", IntRange(0, 19)), Parameter("b", IntRange(0, 19))))
PLAN = make_plan(SPACE)
SPIKE = 5 * 20 + 5


def landscape(a: int, b: int) -> float:
    """Return a low plain with a plateau around (14, 13), and one spike far higher at (5, 5)."""
    if (a, b) == (5, 5):
        return 5.0
    away = max(abs(a - 14), abs(b - 13))
    return 2.0 - 0.01 * away if away <= 3 else 0.1


def grid(sign: float = 1.0, seed: int | None = None) -> TrialTable:
    """Return every point of the landscape as a trial, perhaps with some noise."""
    noise = np.zeros(400) if seed is None else np.random.default_rng(seed).normal(0.0, 0.05, 400)
    values = [sign * (landscape(n // 20, n % 20) + noise[n]) for n in range(400)]
    places = np.arange(400)
    return table_of([[one] for one in values], parameters={"a": places // 20, "b": places % 20})


def point(number: int) -> Point:
    """Return the point of a trial of the grid."""
    return {"a": number // 20, "b": number % 20}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_the_plateau_is_chosen_and_not_the_spike(sign: float, seed: int | None) -> None:
    """Whether larger or smaller is better, and with noise; as found by brute force."""
    table, objective = grid(sign, seed), Objective("sharpe_ratio", maximize=sign > 0)
    best = best_numbers(table, (objective,))
    assert best[0] == SPIKE
    chosen = candidates(table, best)
    values = {number: float(table.objective_values[number, 0]) for number in chosen.tolist()}
    others = {number: point(number) for number in chosen.tolist()}
    found = surroundings(PLAN, {SPIKE: point(SPIKE)}, others, 8_760)

    def told(at: Point) -> float:
        return float(table.objective_values[int(at["a"]) * 20 + int(at["b"]), 0])

    near = found.neighborhoods(
        [told(one) for one in found.points], values, maximize=objective.maximize
    )
    (pick,), absent = neighborhood_pick(chosen, near)
    medians = {
        number: sign * statistics.median(told(one) for one in neighbors(PLAN, point(number)))
        for number in chosen.tolist()
    }
    assert pick.number == max(medians, key=lambda number: (medians[number], -number))
    assert (pick.kind, absent) == (ChoiceKind.BEST_NEIGHBORHOOD, [])
    assert max(abs(pick.number // 20 - 14), abs(pick.number % 20 - 13)) <= 2


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (7, 7), (90, 10), (300, 30), (999, 50)])
def test_the_best_tenth_is_looked_at(count: int, expected: int) -> None:
    """At least ten, at most fifty, best first; each point once, infeasible ones never."""
    values = np.random.default_rng(count).permutation(2 * count).astype(np.float64)
    table = table_of(
        np.concatenate((values, values[:5]))[:, None],
        feasible=[place % 2 == 0 for place in range(2 * count)] + [True] * min(5, 2 * count),
        parameters={"a": np.arange(2 * count + min(5, 2 * count)) % (2 * count)},
    )
    best = best_numbers(table, (Objective("sharpe_ratio", maximize=True),))
    found = candidates(table, best)
    assert len(found) == expected
    kept = [n for n in best.tolist() if n < 2 * count]
    assert found.tolist() == kept[:expected]


def test_each_point_is_run_once_and_no_more_than_the_limit() -> None:
    """Shared neighbours are shared; candidates beyond the limit are left out, the best never."""
    others = {number: point(number) for number in range(0, 400, 3)}
    found = surroundings(PLAN, {SPIKE: point(SPIKE)}, others, 8_760)
    points = [tuple(one.values()) for one in found.points]
    assert len(set(points)) == len(points)
    for number, places in found.places.items():
        assert [found.points[place] for place in places] == neighbors(PLAN, point(number))
    few = surroundings(PLAN, {SPIKE: point(SPIKE)}, others, MOST_BARS // 50)
    assert len(few.points) <= 50
    assert list(few.places) == list(found.places)[: len(few.places)]
    none = surroundings(PLAN, {SPIKE: point(SPIKE)}, others, 10 * MOST_BARS)
    assert list(none.places) == [SPIKE]
    many = Space(tuple(Parameter(f"p{n}", IntRange(0, 9)) for n in range(12)))
    middle: Point = {f"p{n}": 5 for n in range(12)}
    wide = surroundings(make_plan(many), {}, {n: {**middle, "p0": n} for n in range(9)}, 1)
    assert 0 < len(wide.points) <= MOST_SETS


def test_lonely_trials_are_passed_over() -> None:
    """Most of the best one's neighbours have no objective; equal medians: the lowest number."""
    found = {
        4: summary([9.0, None, None], 10.0, maximize=True),
        9: summary([3.0, None], 8.0, maximize=True),
        7: summary([3.0, 3.0], 8.0, maximize=True),
        2: summary([], 8.0, maximize=True),
    }
    (pick,), _ = neighborhood_pick(np.array([4, 9, 7, 2]), found)
    assert pick.number == 7


def test_words_have_no_neighbourhood() -> None:
    """Then there is no such choice, and that is said."""
    words = make_plan(Space((Parameter("word", Categories(("x", "y"))),)))
    found = surroundings(words, {0: {"word": "x"}}, {}, 100)
    near = found.neighborhoods([], {0: 1.0}, maximize=True)
    picks, absent = neighborhood_pick(np.array([0]), near)
    assert picks == []
    assert [type(one) for one in absent] == [Absent]
