"""Grid search and brute force: every point of a lattice once."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable

import pytest

from services.common.errors import AssayError
from services.optimizer.core.ports import Search
from services.optimizer.core.searches.brute_force_search import BruteForceSearch
from services.optimizer.core.searches.grid_search import GridSearch
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.space import (
    DoubleRange,
    Filter,
    IntRange,
    Parameter,
    Space,
    grid_point_count,
)
from services.optimizer.core.trial import Point
from tests.unit.optimizer.plans import CROSSOVER, LATTICE, plan_of

Make = Callable[[Space, tuple[Filter, ...], int], Search]


def grid(space: Space, filters: tuple[Filter, ...], size: int) -> Search:
    """Return a grid search."""
    return GridSearch(space, filters, size)


def brute(space: Space, filters: tuple[Filter, ...], size: int) -> Search:
    """Return a brute force search with a seed."""
    return BruteForceSearch(space, filters, 42, size)


FAST_BELOW_SLOW = plan_of(
    SearchKind.GRID, CROSSOVER, ["fast_period < slow_period"]
).constraints.on_parameters

HUNDRED_THOUSAND = Space(
    (
        Parameter("fast_period", IntRange(1, 50)),
        Parameter("slow_period", IntRange(1, 50)),
        Parameter("width", DoubleRange(0.0, 3.9, 0.1)),
    )
)


def test_a_grid_gives_every_point_once_in_generations() -> None:
    """The last generation is shorter, and the one after it is empty."""
    search = grid(CROSSOVER, FAST_BELOW_SLOW, 40)
    generations = [search.ask(number, 40) for number in range(4)]

    assert [len(one) for one in generations] == [40, 40, 10, 0]
    points = [tuple(point.values()) for one in generations for point in one]
    assert len(set(points)) == 90
    assert points == sorted(points)
    assert all(float(fast) < float(slow) for fast, slow in points)


@pytest.mark.parametrize("make", [grid, brute])
def test_a_lattice_is_covered_exactly_once(make: Make) -> None:
    """As a set it is the product of the values that fulfils the constraints; types are kept."""
    points = make(LATTICE, FAST_BELOW_SLOW, 5_000).ask(0, 5_000)
    wanted = {
        (fast, slow, 0.5, tenth / 10, word, 3)
        for fast, slow, tenth, word in itertools.product(
            range(2, 10), range(5, 61, 5), range(1, 6), ("sma", "ema")
        )
        if fast < slow
    }

    assert {tuple(point.values()) for point in points} == wanted
    assert len(points) == len(wanted) == grid_point_count(LATTICE, FAST_BELOW_SLOW)
    assert all(type(point["fast_period"]) is int for point in points)
    assert list(points[0]) == [one.name for one in LATTICE.parameters]


@pytest.mark.parametrize("make", [grid, brute])
def test_a_lattice_may_be_entered_anywhere(make: Make) -> None:
    """A resumed study asks for its next generation and gets what it would have got."""
    whole = make(LATTICE, FAST_BELOW_SLOW, 10_000).ask(0, 10_000)
    parts = make(LATTICE, FAST_BELOW_SLOW, 64)

    assert parts.ask(5, 64) == whole[320:384]
    assert parts.ask(2, 3) == whole[128:131]
    assert parts.ask(99, 64) == []


def test_a_grid_of_100_000_points_is_held_in_little_memory() -> None:
    """Numbers of the constrained points, not the points: below a megabyte while it is walked."""
    tracemalloc.start()
    try:
        search = grid(HUNDRED_THOUSAND, FAST_BELOW_SLOW, 256)
        pages = sum(len(search.ask(number, 256)) for number in (0, 100, 191, 192))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert pages == 3 * 256 - (192 * 256 - 1225 * 40)
    assert peak < 1_000_000


def test_the_order_of_brute_force_is_drawn_from_the_seed() -> None:
    """Another seed gives another order of the same points, and neither is that of the grid."""
    orders = [BruteForceSearch(LATTICE, (), seed, 960).ask(0, 960) for seed in (1, 2)]
    ordered = grid(LATTICE, (), 960).ask(0, 960)

    assert orders[0] != orders[1]
    assert ordered not in orders
    assert orders[0] == BruteForceSearch(LATTICE, (), 1, 960).ask(0, 960)


def test_the_order_of_brute_force_is_pinned() -> None:
    """Golden: hashes and whole numbers give this order on every machine, for ever."""
    points = BruteForceSearch(CROSSOVER, (), 42, 6).ask(0, 6)

    assert [tuple(point.values()) for point in points] == PINNED


PINNED = [(45, 80), (5, 40), (15, 200), (15, 40), (40, 160), (35, 80)]


def test_every_order_of_brute_force_is_equally_likely() -> None:
    """Chi-squared over the 24 orders of 4 points, 2,400 seeds: inside what chance allows."""
    space = Space((Parameter("x", IntRange(0, 3)),))
    orders = [
        tuple(int(point["x"]) for point in BruteForceSearch(space, (), seed, 4).ask(0, 4))
        for seed in range(2_400)
    ]
    counts = [orders.count(order) for order in itertools.permutations(range(4))]

    assert sum(counts) == 2_400
    assert sum((count - 100) ** 2 / 100 for count in counts) < 49.7  # 99.9 % of 23 degrees


@pytest.mark.parametrize(
    ("space", "filters", "told"),
    [
        (Space((Parameter("fast_period", IntRange(1, 100_001)),)), (), 100_001),
        (
            Space((Parameter("fast_period", IntRange(1, 2_000_000)),)),
            plan_of(SearchKind.GRID, CROSSOVER, ["fast_period < 9"]).constraints.on_parameters,
            2_000_000,
        ),
        (
            Space((Parameter("fast_period", IntRange(1, 200_000)),)),
            plan_of(SearchKind.GRID, CROSSOVER, ["fast_period < 150000"]).constraints.on_parameters,
            149_999,
        ),
    ],
    ids=["many", "too-many-to-count", "many-after-the-constraints"],
)
def test_brute_force_takes_no_large_space(
    space: Space, filters: tuple[Filter, ...], told: int
) -> None:
    """More than 100,000 points, or so many that they cannot be counted, are refused."""
    with pytest.raises(AssayError) as refused:
        BruteForceSearch(space, filters, 1, 8)
    assert refused.value.reason == "GRID_TOO_LARGE"
    assert refused.value.metadata["point_count"] == str(told)


def test_telling_a_lattice_search_changes_nothing() -> None:
    """There is nothing to learn."""
    points: list[list[Point]] = []
    for make in (grid, brute):
        search = make(CROSSOVER, (), 8)
        search.tell(())
        points.append(search.ask(0, 8))
    assert points == [grid(CROSSOVER, (), 8).ask(0, 8), brute(CROSSOVER, (), 8).ask(0, 8)]
