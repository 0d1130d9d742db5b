"""Evolutionary search: it finds fronts, keeps the best, and never stalls."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.optimizer.adapters.searches.genetics import Genetics
from services.optimizer.adapters.searches.nsga_search import NsgaSearch
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import DoubleRange, IntRange, Parameter, Space
from services.optimizer.core.trial import Point, Trial
from tests.unit.optimizer.plans import DRAWDOWN, TRADES, plan_of, run, told_again, trial_of

CUBE = Space(tuple(Parameter(name, DoubleRange(0.0, 1.0)) for name in "abcdef"))

BOTH_DOWN = (Objective("sharpe_ratio", maximize=False), DRAWDOWN)


def zdt1(point: Point) -> dict[str, float]:
    """Return the two costs of Zitzler, Deb and Thiele's first problem; the front is at b..f = 0."""
    first = float(point["a"])
    rest = 1.0 + 9.0 * sum(float(point[name]) for name in "bcdef") / 5.0
    return {
        "sharpe_ratio": first,
        "max_drawdown_ratio": rest * (1.0 - (first / rest) ** 0.5),
        "trade_count": first,
    }


def hypervolume(trials: Sequence[Trial]) -> float:
    """Return the area that two costs dominate below (1, 10)."""
    area, ceiling = 0.0, 10.0
    for first, second in sorted(trial.objective_values for trial in trials):
        if first < 1.0 and second < ceiling:
            area += (1.0 - first) * (ceiling - second)
            ceiling = second
    return area


@pytest.mark.parametrize("nsga3", [False, True])
def test_it_dominates_more_than_chance(nsga3: bool) -> None:
    """After 400 trials the hypervolume is larger than that of random search, for every seed."""
    for seed in range(3):
        plan = plan_of(
            SearchKind.EVOLUTIONARY,
            CUBE,
            objectives=BOTH_DOWN,
            generation_size=20,
            seed=seed,
            nsga3=nsga3,
        )
        bred = run(plan, NsgaSearch(plan), range(20), zdt1, failing=False)
        drawn = run(plan, RandomSearch(CUBE, (), seed, 20), range(20), zdt1, failing=False)
        assert hypervolume(bred) > hypervolume(drawn) + 0.5


@pytest.mark.parametrize("nsga3", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_directions_are_directions(nsga3: bool, maximize: bool) -> None:
    """The same study turned upside down proposes the same points."""

    def turned(point: Point) -> dict[str, float]:
        return {name: -value for name, value in zdt1(point).items()}

    plan = plan_of(
        SearchKind.EVOLUTIONARY,
        CUBE,
        objectives=[replace(one, maximize=maximize) for one in BOTH_DOWN],
        generation_size=10,
        nsga3=nsga3,
    )
    market = turned if maximize else zdt1
    points = [one.parameters for one in run(plan, NsgaSearch(plan), range(8), market)]
    straight = plan_of(
        SearchKind.EVOLUTIONARY, CUBE, objectives=BOTH_DOWN, generation_size=10, nsga3=nsga3
    )
    wanted = [one.parameters for one in run(straight, NsgaSearch(straight), range(8), zdt1)]

    assert points == wanted


def test_broken_constraints_on_metrics_are_left_behind() -> None:
    """With more than 60 bars held forbidden, few later points hold longer."""
    plan = plan_of(
        SearchKind.EVOLUTIONARY,
        Space((Parameter("hold", IntRange(1, 400)), *CUBE.parameters)),
        ["trade_count <= 60"],
        BOTH_DOWN,
        generation_size=20,
    )

    def market(point: Point) -> dict[str, float]:
        # The longer it holds the better, were it allowed.
        return {
            "sharpe_ratio": float(point["a"]) - float(point["hold"]) / 400.0,
            "max_drawdown_ratio": float(point["b"]),
            "trade_count": float(point["hold"]),
        }

    trials = run(plan, NsgaSearch(plan), range(15), market)
    assert sum(float(trial.parameters["hold"]) <= 60 for trial in trials[:20]) < 10
    assert sum(float(trial.parameters["hold"]) <= 60 for trial in trials[-60:]) > 40


def test_failed_trials_are_no_parents_and_hold_nothing_up() -> None:
    """One whole generation fails: the next is bred from the same parents as that one was."""
    plan = plan_of(SearchKind.EVOLUTIONARY, CUBE, objectives=BOTH_DOWN, generation_size=11)
    first = run(plan, NsgaSearch(plan), range(2), zdt1, failing=False)
    search = told_again(NsgaSearch(plan), first, 11)
    wanted = search.ask(3, 11)
    failed = [
        replace(trial_of(plan, 3, point, zdt1), number=22 + place, generation_number=2)
        for place, point in enumerate(search.ask(2, 11))
    ]
    search.tell(failed)

    assert search.ask(3, 11) == wanted


def test_values_are_inherited_bit_by_bit() -> None:
    """Whatever a child did not get by mutation one of the trials before had, to the last digit."""
    plan = plan_of(SearchKind.EVOLUTIONARY, CUBE, objectives=BOTH_DOWN, generation_size=20)
    trials = run(plan, NsgaSearch(plan), range(2), zdt1, failing=False)
    known = {(name, value) for one in trials[:20] for name, value in one.parameters.items()}
    inherited = [
        sum((name, value) in known for name, value in one.parameters.items()) for one in trials[20:]
    ]

    assert 4.0 < statistics.mean(inherited) < 5.9


def test_a_generation_repeats_neither_itself_nor_its_parents() -> None:
    """As long as there is something new to be bred."""
    plan = plan_of(SearchKind.EVOLUTIONARY, CUBE, objectives=BOTH_DOWN, generation_size=20)
    trials = run(plan, NsgaSearch(plan), range(10), zdt1)

    assert len({tuple(one.parameters.values()) for one in trials}) == 200


@pytest.mark.parametrize("nsga3", [False, True])
def test_survivors_are_the_least_dominated_feasible_ones(nsga3: bool) -> None:
    """Dominance comes before everything else, feasibility before dominance."""
    plan = plan_of(
        SearchKind.EVOLUTIONARY,
        CUBE,
        ["trade_count < 0.5"],
        (*BOTH_DOWN, TRADES) if nsga3 else BOTH_DOWN,
        generation_size=8,
        nsga3=nsga3,
    )
    trials = run(plan, RandomSearch(CUBE, (), 5, 8), range(10), zdt1, failing=False)
    genetics = Genetics(plan.objectives, 1, 30, nsga3=nsga3)
    chosen = genetics.survivors(trials, 1)

    feasible = [place for place, trial in enumerate(trials) if trial.feasible]
    assert 30 < len(feasible) < 50
    assert len(set(chosen)) == 30
    assert set(chosen) <= set(feasible)
    undominated = [
        place
        for place in feasible
        if not any(_dominates(trials[other], trials[place], plan.objectives) for other in feasible)
    ]
    assert set(undominated) <= set(chosen) or len(undominated) > 30


def _dominates(one: Trial, other: Trial, objectives: Sequence[Objective]) -> bool:
    signs = [-1.0 if objective.maximize else 1.0 for objective in objectives]
    ones = [sign * value for sign, value in zip(signs, one.objective_values, strict=True)]
    others = [sign * value for sign, value in zip(signs, other.objective_values, strict=True)]
    return all(a <= b for a, b in zip(ones, others, strict=True)) and ones != others


def test_trials_of_others_are_the_first_parents() -> None:
    """The first generation is bred from them, not drawn."""
    plan = plan_of(SearchKind.EVOLUTIONARY, CUBE, objectives=BOTH_DOWN, generation_size=20)
    priors = run(plan, RandomSearch(CUBE, (), 9, 20), range(3), zdt1, failing=False)
    known = {value for one in priors for value in one.parameters.values()}
    points = NsgaSearch(plan, priors).ask(0, 20)

    assert sum(value in known for point in points for value in point.values()) > 80
