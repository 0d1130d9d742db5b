"""Random search, its draws, and which spaces suit a search."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import AssayError
from services.optimizer.core.searches.random_search import (
    RandomSearch,
    check_feasible,
    fraction_of,
    value_of,
)
from services.optimizer.core.searches.seeds import RESOLUTION, draw
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan, check_reachable
from services.optimizer.core.spec.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
    grid_point_count,
)
from services.optimizer.core.study.limits import Limits
from tests.unit.optimizer.plans import CROSSOVER, plan_of

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


@given(
    places=st.integers(0, 4),
    low=st.integers(-5_000, 5_000),
    count=st.integers(1, 500),
    index=st.integers(0, 499),
)
def test_a_value_of_a_lattice_comes_back_from_its_fraction(
    places: int, low: int, count: int, index: int
) -> None:
    """The inverse of a draw, for whole numbers, stepped numbers and words."""
    unit = 10**places
    stepped = DoubleRange(low / unit, (low + count - 1) / unit, 1 / unit)
    words = Categories(tuple(f"word{place}" for place in range(count)))
    for domain in (IntRange(low, low + count - 1), stepped, words, Fixed(7)):
        value = domain.value_at(index % count)
        assert value_of(domain, fraction_of(domain, value)) == value


@given(fraction=fractions, low=st.floats(1e-6, 1e3), ratio=st.floats(1.0, 1e6))
def test_a_number_comes_back_from_its_fraction(fraction: int, low: float, ratio: float) -> None:
    """Exactly without a logarithm and for whole numbers, to the last digit with one."""
    linear, logarithmic = DoubleRange(low, low * ratio), DoubleRange(low, low * ratio, log=True)
    value = value_of(linear, fraction)
    assert value_of(linear, fraction_of(linear, value)) == value
    value = value_of(logarithmic, fraction)
    assert value_of(logarithmic, fraction_of(logarithmic, value)) == pytest.approx(value, rel=1e-15)
    counted = IntRange(1, 1 + round(ratio), log=True)
    value = value_of(counted, fraction)
    assert value_of(counted, fraction_of(counted, value)) == value


def test_constrained_draws_fulfil_the_constraints() -> None:
    """Draws that do not are thrown away, trial by trial."""
    filters = plan_of(
        SearchKind.RANDOM, CROSSOVER, ["fast_period * 4 < slow_period"]
    ).constraints.on_parameters

    points = RandomSearch(CROSSOVER, filters, 7, 200).ask(0, 200)
    assert all(float(one["fast_period"]) * 4 < float(one["slow_period"]) for one in points)


@pytest.mark.parametrize("search", [SearchKind.RANDOM, SearchKind.BAYESIAN])
def test_a_space_chance_cannot_find_is_refused(search: SearchKind) -> None:
    """None of the points, and too few of them, both."""
    wide = Space((Parameter("x", IntRange(0, 99_999)),))
    for space, text in ((CROSSOVER, "fast_period > slow_period * 3"), (wide, "x == 5")):
        plan = plan_of(search, space, [text])
        with pytest.raises(AssayError, match="at least 10 are needed") as refused:
            check_reachable(plan, 10_000)
        assert refused.value.reason == "SPACE_INFEASIBLE"


def test_a_space_of_one_point_in_a_hundred_is_taken() -> None:
    """Rare is not too rare."""
    plan = plan_of(SearchKind.RANDOM, CROSSOVER, ["fast_period == 5", "slow_period == 20"])

    check_feasible(plan.space, plan.constraints.on_parameters, plan.seed)


def _grid(text: str) -> StudyPlan:
    """Return a plan of the grid with its points counted."""
    plan = plan_of(SearchKind.GRID, CROSSOVER, [text])
    return replace(plan, limits=Limits(grid_point_count(CROSSOVER, plan.constraints.on_parameters)))


def test_an_empty_grid_is_refused() -> None:
    """With the reason that says so."""
    plan = _grid("fast_period > slow_period * 3")

    with pytest.raises(AssayError) as refused:
        check_reachable(plan, 10_000)
    assert refused.value.reason == "SPACE_INFEASIBLE"


def test_a_grid_above_the_limit_is_refused_with_both_counts() -> None:
    """The count is that after the constraints."""
    plan = _grid("fast_period < slow_period")

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
