"""Lattices, exact decimals and grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.spec.constraints import Condition, read_constraints
from services.optimizer.core.spec.lattice import Lattice
from services.optimizer.core.spec.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
    exact,
    grid_point_count,
    grid_ranks,
    reachable_high,
)
from services.optimizer.core.trial import Value
from tests.unit.optimizer.plans import CROSSOVER


def conditions(*texts: str, names: frozenset[str]) -> tuple[Condition, ...]:
    """Read constraints on parameters."""
    found, violations = read_constraints(texts, names, frozenset(), frozenset())
    assert not violations
    return found.on_parameters


FAST_BELOW_SLOW = conditions(
    "fast_period < slow_period", names=frozenset({"fast_period", "slow_period"})
)


def _points(space: Space, filters: Sequence[Condition]) -> list[tuple[Value, ...]]:
    """Return all points of a lattice as tuples."""
    lattice = Lattice(space, filters)
    return [tuple(lattice.point(number).values()) for number in range(len(lattice))]


def test_a_float_is_the_decimal_it_is_written_as() -> None:
    """0.1 means one tenth, not the binary number nearest to it."""
    assert exact(0.1) == Fraction(1, 10)
    assert exact(1e-7) == Fraction(1, 10**7)
    assert exact(3) == 3


@given(
    low=st.integers(-2000, 2000),
    step=st.integers(1, 500),
    count=st.integers(1, 60),
    places=st.integers(0, 6),
)
def test_lattice_values_are_the_floats_nearest_to_their_decimals(
    low: int, step: int, count: int, places: int
) -> None:
    """Every value equals the decimal text a person would write, however far up the range."""
    unit = Decimal(1).scaleb(-places)
    texts = [(low + step * index) * unit for index in range(count)]
    domain = DoubleRange(float(texts[0]), float(texts[-1]), float(step * unit))

    assert domain.point_count == count
    assert [domain.value_at(index) for index in range(count)] == [float(text) for text in texts]


def test_a_float_lattice_does_not_drift() -> None:
    """Three steps of 0.1 are 0.3, not 0.30000000000000004."""
    domain = DoubleRange(0.0, 1.0, 0.1)

    assert [domain.value_at(index) for index in range(11)] == [
        0.0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1.0,
    ]


def test_whole_numbers_stay_whole() -> None:
    """An integer range gives Python ints."""
    assert [type(IntRange(1, 9, 4).value_at(index)) for index in range(3)] == [int] * 3


def test_the_reachable_high_of_a_range_that_does_not_divide() -> None:
    """From 5 by 7 the steps end at 47 before 50; a range that divides has nothing to say."""
    assert reachable_high(IntRange(5, 50, 7)) == 47
    assert reachable_high(DoubleRange(0.0, 1.0, 0.3)) == 0.9
    assert reachable_high(DoubleRange(0.1, 0.7, 0.2)) is None
    assert reachable_high(DoubleRange(0.0, 1.0)) is None


def test_the_example_grid_has_100_points_of_which_90_fulfil_the_constraint() -> None:
    """fast_period 5..50 by 5 and slow_period 20..200 by 20."""
    assert CROSSOVER.point_count == 100
    assert grid_point_count(CROSSOVER, FAST_BELOW_SLOW) == 90
    assert len(list(grid_ranks(CROSSOVER, FAST_BELOW_SLOW))) == 90


def test_the_last_parameter_varies_fastest() -> None:
    """The order is that of nested loops over the parameters as the spec lists them."""
    space = Space(
        (
            Parameter("a", IntRange(1, 2)),
            Parameter("kind", Categories(("x", "y"))),
            Parameter("fixed", Fixed(7)),
            Parameter("b", DoubleRange(0.0, 0.5, 0.5)),
        )
    )

    assert _points(space, ()) == list(itertools.product([1, 2], ["x", "y"], [7], [0.0, 0.5]))


@given(
    sizes=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    texts=st.lists(
        st.sampled_from(["a < b", "b <= c", "a + b == c", "c > 2", "a * c >= b"]), max_size=3
    ),
)
def test_grids_equal_a_filtered_product(sizes: list[int], texts: list[str]) -> None:
    """Backtracking yields what enumerating everything and asking every constraint would."""
    names = ("a", "b", "c")
    space = Space(
        tuple(Parameter(name, IntRange(0, size)) for name, size in zip(names, sizes, strict=True))
    )
    filters = conditions(*texts, names=frozenset(names))
    product = itertools.product(*(range(size + 1) for size in sizes))
    wanted = [
        point
        for point in product
        if all(one.holds(dict(zip(names, point, strict=True))) for one in filters)
    ]

    assert _points(space, filters) == wanted
    assert [space.point_at(rank) for rank in grid_ranks(space, filters)] == [
        space.point(one) for one in wanted
    ]
    assert grid_point_count(space, filters) == len(wanted)


def test_counting_does_not_enumerate_unconstrained_parameters() -> None:
    """A thousand million points behind a constrained pair are multiplied, not visited."""
    space = Space((*CROSSOVER.parameters, Parameter("free", IntRange(0, 10**9 - 1))))

    assert grid_point_count(space, FAST_BELOW_SLOW) == 90 * 10**9


def test_a_range_without_step_has_no_lattice() -> None:
    """It cannot be counted, and nobody invents a step for it."""
    space = Space((Parameter("x", DoubleRange(0.0, 1.0)),))

    assert space.point_count is None
    with pytest.raises(ValueError, match="no lattice"):
        grid_point_count(space, ())
