"""Grid and random search."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import AssayError
from services.optimizer.core.draft import SearchKind
from services.optimizer.core.grid_search import GridSearch
from services.optimizer.core.plan import check_reachable
from services.optimizer.core.random_search import RandomSearch, check_feasible, value_of
from services.optimizer.core.seeds import RESOLUTION, draw
from services.optimizer.core.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
)
from tests.unit.optimizer.in_memory import CROSSOVER, make_plan, search_of

MIXED = Space(
    (
        Parameter("period", IntRange(2, 50)),
        Parameter("long", IntRange(1, 1000, log=True)),
        Parameter("width", DoubleRange(0.5, 3.0)),
        Parameter("ratio", DoubleRange(0.001, 0.1, log=True)),
        Parameter("stepped", DoubleRange(0.1, 0.9, 0.1)),
        Parameter("average", Categories(("sma", "ema"))),
        Parameter("fixed", Fixed(3)),
    )
)

fractions = st.integers(0, RESOLUTION - 1)


def test_a_grid_gives_every_point_once_in_generations() -> None:
    """The last generation is shorter, and the one after it is empty."""
    plan = make_plan(
        constraints=["fast_period < slow_period"], search=SearchKind.GRID, generation_size=40
    )
    search = search_of(plan)
    generations = [search.ask(number, 40) for number in range(4)]

    assert [len(one) for one in generations] == [40, 40, 10, 0]
    points = [tuple(point.values()) for one in generations for point in one]
    assert len(set(points)) == 90
    assert points == sorted(points)
    assert all(float(fast) < float(slow) for fast, slow in points)


def test_a_grid_may_be_entered_anywhere() -> None:
    """A resumed study asks for its next generation and gets what it would have got."""
    assert GridSearch(CROSSOVER, (), 8).ask(5, 8) == GridSearch(CROSSOVER, (), 40).ask(1, 8)


def test_a_random_trial_depends_on_seed_and_number_alone() -> None:
    """Not on the generation size, and not on what was asked before."""
    whole = RandomSearch(MIXED, (), 11, 60).ask(0, 60)
    parts = RandomSearch(MIXED, (), 11, 7)

    assert parts.ask(3, 7) == whole[21:28]
    assert RandomSearch(MIXED, (), 12, 60).ask(0, 60) != whole


def test_random_draws_are_pinned() -> None:
    """Golden: hashing and exact arithmetic give these bits on every machine, for ever."""
    points = RandomSearch(MIXED, (), 42, 2).ask(0, 2)

    assert [list(point.values()) for point in points] == PINNED


PINNED = [
    [27, 1, 1.0874928707864036, 0.0012227830340783145, 0.7, "ema", 3],
    [36, 16, 2.018986575642184, 0.005585962995951741, 0.5, "ema", 3],
]


def test_every_draw_keeps_its_type_and_range() -> None:
    """Ints stay ints, words are words of the list, fixed values stay."""
    for point in RandomSearch(MIXED, (), 3, 300).ask(0, 300):
        assert isinstance(point["period"], int)
        assert isinstance(point["long"], int)
        assert 2 <= point["period"] <= 50
        assert 1 <= point["long"] <= 1000
        assert 0.5 <= float(point["width"]) <= 3.0
        assert 0.001 <= float(point["ratio"]) <= 0.1
        assert point["stepped"] in {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
        assert point["average"] in {"sma", "ema"}
        assert point["fixed"] == 3


def test_draws_are_spread_evenly() -> None:
    """Chi-squared over the 100 points of a grid, 5,000 draws: far inside what chance allows."""
    points = RandomSearch(CROSSOVER, (), 5, 5000).ask(0, 5000)
    counts = Counter(tuple(point.values()) for point in points)
    chi_squared = sum((counts[point] - 50) ** 2 / 50 for point in counts)

    assert len(counts) == 100
    assert 60 < chi_squared < 150


@given(fraction=fractions, low=st.integers(-500, 500), count=st.integers(1, 400))
def test_a_draw_of_whole_numbers_is_the_scaled_fraction(
    fraction: int, low: int, count: int
) -> None:
    """Exactly floor(fraction x count) steps above the low end."""
    value = value_of(IntRange(low, low + count - 1), fraction)

    assert value == low + math.floor(Fraction(fraction, RESOLUTION) * count)


@given(fraction=fractions, low=st.floats(1e-6, 1e3), ratio=st.floats(1.0, 1e6))
def test_a_logarithmic_draw_agrees_with_libm(fraction: int, low: float, ratio: float) -> None:
    """The decimal result is what floats give to within their error, inside the range."""
    high = low * ratio
    value = value_of(DoubleRange(low, high, log=True), fraction)
    wanted = math.exp(math.log(low) + (math.log(high) - math.log(low)) * (fraction / RESOLUTION))

    assert isinstance(value, float)
    assert low <= value <= high
    assert value == pytest.approx(wanted, rel=1e-12)


def test_the_ends_of_a_logarithmic_range_of_whole_numbers_are_reached() -> None:
    """Each whole number owns half a step to both sides."""
    domain = IntRange(1, 100, log=True)

    assert value_of(domain, 0) == 1
    assert value_of(domain, RESOLUTION - 1) == 100


def test_constrained_draws_fulfil_the_constraints() -> None:
    """Draws that do not are thrown away, trial by trial."""
    plan = make_plan(constraints=["fast_period * 4 < slow_period"])

    points = search_of(plan).ask(0, 200)
    assert all(float(one["fast_period"]) * 4 < float(one["slow_period"]) for one in points)


@pytest.mark.parametrize("search", [SearchKind.RANDOM, SearchKind.BAYESIAN])
def test_a_space_chance_cannot_find_is_refused(search: SearchKind) -> None:
    """None of the points, and too few of them, both."""
    wide = Space((Parameter("x", IntRange(0, 99_999)),))
    for space, text in ((CROSSOVER, "fast_period > slow_period * 3"), (wide, "x == 5")):
        plan = make_plan(space, [text], search=search)
        with pytest.raises(AssayError, match="at least 10 are needed") as refused:
            check_reachable(plan, 10_000)
        assert refused.value.reason == "SPACE_INFEASIBLE"


def test_a_space_of_one_point_in_a_hundred_is_taken() -> None:
    """Rare is not too rare."""
    plan = make_plan(constraints=["fast_period == 5", "slow_period == 20"])

    check_feasible(plan.space, plan.constraints.on_parameters, plan.seed)


def test_an_empty_grid_is_refused() -> None:
    """With the reason that says so."""
    plan = make_plan(constraints=["fast_period > slow_period * 3"], search=SearchKind.GRID)

    with pytest.raises(AssayError) as refused:
        check_reachable(plan, 10_000)
    assert refused.value.reason == "SPACE_INFEASIBLE"


def test_a_grid_above_the_limit_is_refused_with_both_counts() -> None:
    """The count is that after the constraints."""
    plan = make_plan(constraints=["fast_period < slow_period"], search=SearchKind.GRID)

    check_reachable(plan, 90)
    with pytest.raises(AssayError) as refused:
        check_reachable(plan, 89)
    assert refused.value.reason == "GRID_TOO_LARGE"
    assert refused.value.metadata == {"point_count": "90", "limit": "89"}


def test_draws_differ_by_every_name() -> None:
    """Neighbouring trials, attempts and parameters share nothing."""
    names = [
        ("random", 0, 0, "a"),
        ("random", 0, 0, "b"),
        ("random", 0, 1, "a"),
        ("random", 1, 0, "a"),
        ("other", 0, 0, "a"),
    ]

    assert len({draw(1, *one) for one in names} | {draw(2, *names[0])}) == 6
