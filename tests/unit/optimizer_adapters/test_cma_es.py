"""CMA-ES: it adapts numbers, begins where it is told, ends and begins again."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.adapters.searches.cma_axes import FINEST_LATTICE, axes_of
from services.optimizer.adapters.searches.cma_es import CmaEsSearch
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import DoubleRange, IntRange, Parameter, Space
from services.optimizer.core.trial import Point, Trial
from tests.unit.optimizer.plans import MIXED, plan_of, run, told_again, typed

BOWL = Space(
    (
        Parameter("a", DoubleRange(0.0, 1.0)),
        Parameter("b", DoubleRange(-5.0, 5.0)),
        Parameter("c", DoubleRange(0.01, 100.0, log=True)),
        Parameter("d", IntRange(0, 40)),
        Parameter("e", IntRange(1, 100_000, log=True)),
    )
)


def bowl(point: Point) -> dict[str, float]:
    """Return the merit of a smooth bowl whose bottom is at the middle of every (log) range."""
    return {"sharpe_ratio": -sum((place - 0.6) ** 2 for place in places(point))}


def places(point: Point) -> list[float]:
    """Return where the parameters of a point lie in their ranges."""
    return [axis.coordinate(point[axis.name]) for axis in axes_of(BOWL)]


def bowl_plan(seed: int = 7, **changes: object) -> StudyPlan:
    """Return a plan over the bowl."""
    return plan_of(SearchKind.CMA_ES, BOWL, seed=seed, **changes)  # type: ignore[arg-type]


def best(trials: list[Trial]) -> float:
    """Return the best value."""
    return max(trial.objective_values[0] for trial in trials if trial.feasible)


def test_it_beats_chance_on_a_smooth_function() -> None:
    """After 160 trials it is ten times nearer to the bottom, in the median over seeds."""
    found, drawn = [], []
    for seed in range(5):
        plan = bowl_plan(seed)
        found.append(best(run(plan, CmaEsSearch(plan), range(20), bowl)))
        drawn.append(best(run(plan, RandomSearch(BOWL, (), seed, 8), range(20), bowl)))

    assert statistics.median(found) > statistics.median(drawn) / 10.0


def test_the_distribution_is_kept_or_rebuilt_alike() -> None:
    """Kept over twenty generations or rebuilt at each of them: the same points."""
    plan = plan_of(SearchKind.CMA_ES, MIXED, ["fast_period < slow_period"])
    search = CmaEsSearch(plan)
    trials: list[Trial] = []
    for generation in range(20):
        rebuilt = told_again(CmaEsSearch(plan), trials, 8)
        wanted = rebuilt.ask(generation, 8)
        trials += run(plan, search, [generation])
        assert typed([one.parameters for one in trials[-8:]]) == typed(wanted)


def test_it_begins_in_the_middle_with_the_step_it_is_told() -> None:
    """A thousandth of each range: the first generation lies around the middle."""
    plan = bowl_plan(initial_sigma_ratio=0.001)
    for point in CmaEsSearch(plan).ask(0, 8):
        for place, axis in zip(places(point), axes_of(BOWL), strict=True):
            assert abs(place - 0.5) < 0.01 + axis.step


def test_it_begins_at_the_best_of_others() -> None:
    """The best feasible trial given is the middle of the first generation."""
    plan = bowl_plan(initial_sigma_ratio=0.001)
    priors = run(plan, RandomSearch(BOWL, (), 4, 8), range(6), bowl)
    top = max((one for one in priors if one.feasible), key=lambda one: one.objective_values[0])
    middle = places(top.parameters)
    for point in CmaEsSearch(plan, priors).ask(0, 8):
        for place, wanted in zip(places(point), middle, strict=True):
            assert abs(place - wanted) < 0.03


def test_it_begins_at_the_best_of_the_starting_points() -> None:
    """Ten of them fill one generation and a part of another; then it begins."""
    given_points = RandomSearch(BOWL, (), 4, 10).ask(0, 10)
    plan = bowl_plan(initial_sigma_ratio=0.001, starting_points=given_points)
    search = CmaEsSearch(plan)
    points = [*given_points, *search.ask(1, 6)]
    told = run(plan, _Fixed(points), range(2), bowl, failing=False)
    search.tell(told[:8])
    search.tell(told[8:])
    top = max(told, key=lambda one: one.objective_values[0])

    for point in search.ask(2, 8):
        for place, wanted in zip(places(point), places(top.parameters), strict=True):
            assert abs(place - wanted) < 0.03


class _Fixed:
    """A search over points it is given."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's points."""
        return self.points[generation_number * 8 : generation_number * 8 + count]

    def tell(self, trials: object) -> None:
        """Learn nothing."""


def test_it_begins_again_when_it_has_come_to_an_end() -> None:
    """A converged distribution proposes nothing new; another one, elsewhere, does."""
    space = Space(tuple(Parameter(name, DoubleRange(0.0, 1.0)) for name in "ab"))
    plan = plan_of(SearchKind.CMA_ES, space)
    search = CmaEsSearch(plan)

    def market(point: Point) -> dict[str, float]:
        return {"sharpe_ratio": -((float(point["a"]) - 0.3) ** 2) - float(point["b"]) ** 2}

    trials = run(plan, search, range(300), market, failing=False)
    spreads = [
        max(float(one.parameters["a"]) for one in generation)
        - min(float(one.parameters["a"]) for one in generation)
        for generation in (trials[first : first + 8] for first in range(0, len(trials), 8))
    ]
    narrow = next(place for place, spread in enumerate(spreads) if spread < 1e-9)
    assert max(spreads[narrow:]) > 0.1
    resumed = told_again(CmaEsSearch(plan), trials, 8)
    assert resumed.ask(300, 8) == search.ask(300, 8)


def test_it_goes_on_where_hardly_a_point_is_allowed() -> None:
    """Points drawn uniformly take the places of samples that break the constraints."""
    plan = plan_of(SearchKind.CMA_ES, MIXED, ["fast_period * 3 == slow_period", "hold_bars > 99"])
    trials = run(plan, CmaEsSearch(plan), range(6))
    for trial in trials:
        assert int(trial.parameters["fast_period"]) * 3 == trial.parameters["slow_period"]
    assert len({repr(trial.parameters) for trial in trials}) > 40


@given(
    low=st.integers(-1000, 1000), count=st.integers(2, FINEST_LATTICE), index=st.integers(0, 999)
)
def test_a_lattice_keeps_its_values(low: int, count: int, index: int) -> None:
    """Each value lies at its own place, and is the nearest one to what is next to it."""
    (axis,) = axes_of(Space((Parameter("x", DoubleRange(low / 10, (low + count - 1) / 10, 0.1)),)))
    value = axis.domain.value_at(index % count)
    place = axis.coordinate(value)

    assert place == pytest.approx((index % count) / (count - 1))
    assert axis.value(place + 0.4 * axis.step) == value
    assert axis.value(place - 0.4 * axis.step) == value


def test_a_line_covers_its_range() -> None:
    """Both ends are reached, places beyond are the ends, the middle of a logarithm is geometric."""
    linear, logarithmic, whole = axes_of(
        Space(
            (
                Parameter("x", DoubleRange(-2.0, 6.0)),
                Parameter("y", DoubleRange(0.01, 100.0, log=True)),
                Parameter("z", IntRange(0, 10**12)),
            )
        )
    )
    assert [linear.value(place) for place in (-1.0, 0.0, 0.5)] == [-2.0, -2.0, 2.0]
    assert [linear.value(place) for place in (1.0, 2.0)] == [6.0, 6.0]
    assert logarithmic.value(0.5) == pytest.approx(1.0)
    assert [whole.value(place) for place in (0.0, 1.0)] == [0, 10**12]
    assert linear.coordinate(2.0) == 0.5
    assert logarithmic.coordinate(10.0) == pytest.approx(0.75)


def test_what_cannot_be_adapted_has_no_axis() -> None:
    """Words, fixed values and ranges of one value."""
    assert [axis.name for axis in axes_of(MIXED)] == [
        "fast_period",
        "slow_period",
        "hold_bars",
        "width",
        "stop_loss_ratio",
        "threshold",
    ]
