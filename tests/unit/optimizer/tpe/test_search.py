"""The search as a pure function of its plan, the generation and the told trials."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import AssayError
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.searches.tpe import search as search_module
from services.optimizer.core.searches.tpe.search import TpeSearch
from services.optimizer.core.spec.draft import SearchOptions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
    exact,
)
from services.optimizer.core.trial import Point, Trial
from tests.unit.optimizer.tpe.problems import DOMAINS, MIXED, Problem, digest, merit

OPTIONS = SearchOptions(startup_trial_count=6, history_window=20)
VARIANTS = {
    "plain": Problem(options=OPTIONS),
    "alone": Problem(options=replace(OPTIONS, multivariate=False)),
    "minimized, infeasible trials": Problem(
        options=OPTIONS, maximize=False, constraints=("drawdown < 1",)
    ),
    "constrained": Problem(options=OPTIONS, constraints=("fast_period < slow_period",)),
    "rare": Problem(options=OPTIONS, constraints=("fast_period * 4 == slow_period",)),
}


def points_of(trials: Sequence[Trial]) -> list[Point]:
    """Return the points of trials."""
    return [trial.parameters for trial in trials]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_resumed_search_goes_on_as_if_it_had_never_been_interrupted(name: str) -> None:
    """Told everything at once, or a generation at a time: the same points, bit for bit."""
    problem = VARIANTS[name]
    whole = problem.run(problem.search(), 7)
    for cut in (1, 4, 6):
        resumed = problem.search()
        resumed.tell(whole[: cut * 8])
        rest = problem.run(resumed, 7 - cut, first_generation=cut)
        assert digest(points_of(rest)) == digest(points_of(whole[cut * 8 :]))


@pytest.mark.parametrize("name", VARIANTS)
def test_fewer_points_are_the_first_ones_of_more(name: str) -> None:
    """A generation that a limit cut short is completed later to what it would have been."""
    problem = VARIANTS[name]
    search = problem.search()
    told = problem.run(search, 3)
    assert len(told) == 24
    whole = search.ask(3, 12)
    for count in (1, 5, 11):
        assert digest(search.ask(3, count)) == digest(whole[:count])
    assert digest(search.ask(3, 12)) == digest(whole)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_how_told_trials_are_cut_into_pieces_does_not_matter(seed: int, pieces: list[int]) -> None:
    """Only the order of told trials counts, not in how many calls they came."""
    problem = Problem(seed=seed, options=OPTIONS)
    history = problem.drawn(sum(pieces))
    at_once, in_pieces = problem.search(), problem.search()
    at_once.tell(history)
    done = 0
    for piece in pieces:
        in_pieces.tell(history[done : done + piece])
        done += piece
    assert digest(at_once.ask(3, 2)) == digest(in_pieces.ask(3, 2))


def test_generations_and_seeds_differ() -> None:
    """Neither another generation nor another study repeats the points."""
    problem = Problem(options=OPTIONS)
    search, other = problem.search(), replace(problem, seed=8).search()
    history = problem.drawn(20)
    search.tell(history)
    other.tell(history)
    first = search.ask(3, 8)
    assert first != search.ask(4, 8)
    assert first != other.ask(3, 8)


@pytest.mark.parametrize("multivariate", [False, True])
def test_every_value_is_one_of_its_domain(multivariate: bool) -> None:
    """Whole numbers, the decimals of a lattice, numbers within their range, words of the list."""
    problem = Problem(options=replace(OPTIONS, multivariate=multivariate))
    tenths = {float(Fraction(number, 10)) for number in range(1, 32)}
    for point in points_of(problem.run(problem.search(), 12)):
        assert list(point) == list(DOMAINS)
        for name in ("fast_period", "slow_period", "hold_bars", "budget", "alone", "leverage"):
            assert type(point[name]) is int
        assert point["fast_period"] in range(2, 41)
        assert point["slow_period"] in range(5, 121, 5)
        assert point["hold_bars"] in range(1, 501)
        assert point["budget"] in range(3_001)
        assert (point["leverage"], point["alone"]) == (2, 7)
        assert point["width"] in tenths
        assert type(point["stop_loss_ratio"]) is type(point["threshold"]) is float
        assert 0.001 <= float(point["stop_loss_ratio"]) <= 0.5
        assert -1.0 <= float(point["threshold"]) <= 1.0
        assert point["average"] in {"sma", "ema", "wma"}


@pytest.mark.parametrize(
    "domain",
    [
        DoubleRange(-1.7e308, 1.7e308),
        DoubleRange(0.0, 1e308, step=1e-300),
        DoubleRange(0.0, 5e-324),
        DoubleRange(5e-324, 1e300, log=True),
        DoubleRange(1e15, 1e15 + 3, step=0.125),
        DoubleRange(1e300, math.nextafter(1e300, 2e300), log=True),
        IntRange(-(2**53), 2**53),
        IntRange(1, 2**53, log=True),
        IntRange(3, 4),
        IntRange(2**53 - 1, 2**53, log=True),
        Categories(("one", "two")),
    ],
    ids=repr,
)
def test_ranges_at_the_ends_of_doubles_are_searched(domain: IntRange | DoubleRange) -> None:
    """Neither the longest nor the shortest, the finest nor the largest range breaks anything."""
    problem = Problem(
        space=Space((Parameter("x", domain),)),
        objective=lambda point: float(hash(point["x"]) % 97),
        options=OPTIONS,
    )
    for point in points_of(problem.run(problem.search(), 5)):
        value = point["x"]
        if isinstance(domain, Categories):
            assert value in domain.values
            continue
        assert not isinstance(value, str)
        assert domain.low <= value <= domain.high
        if domain.step is not None:
            index = round((exact(value) - exact(domain.low)) / exact(domain.step))
            assert value in {domain.value_at(index + near) for near in (-1, 0, 1)}


def test_constraints_on_parameters_hold_for_every_point() -> None:
    """By the estimator where it finds such points, by chance where they are rare."""
    for name in ("constrained", "rare"):
        problem = VARIANTS[name]
        for point in points_of(problem.run(problem.search(), 6)):
            fast, slow = int(point["fast_period"]), int(point["slow_period"])
            assert fast < slow if name == "constrained" else fast * 4 == slow


def test_a_space_without_points_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the other searches do, before the estimator and with it."""
    monkeypatch.setattr(search_module, "ATTEMPT_LIMIT", 3_000)
    problem = Problem(options=OPTIONS, constraints=("fast_period > 100",))
    learnt = problem.search()
    learnt.tell(problem.drawn(30))
    for search in (problem.search(), learnt):
        with pytest.raises(AssayError, match="not once") as caught:
            search.ask(9, 1)
        assert caught.value.reason == "SPACE_INFEASIBLE"


def test_a_space_of_one_point_is_proposed_again_and_again() -> None:
    """Fixed parameters and ranges of one value leave nothing to search."""
    single: tuple[Domain, ...] = (
        Fixed("a"),
        IntRange(5, 5),
        DoubleRange(0.5, 0.5),
        Categories(("w",)),
    )
    space = Space(tuple(Parameter(str(place), one) for place, one in enumerate(single)))
    problem = Problem(space=space, objective=lambda _: 0.0, options=OPTIONS, flawless=True)
    points = points_of(problem.run(problem.search(), 3))
    assert points == [{"0": "a", "1": 5, "2": 0.5, "3": "w"}] * 24


def test_trials_of_other_studies_count_towards_the_start_of_the_estimator() -> None:
    """With enough of them the very first generation is proposed by the estimator."""
    problem = Problem(options=OPTIONS, flawless=True)
    priors = problem.drawn(6)
    assert problem.search(priors[:5]).ask(0, 8) == problem.search().ask(0, 8)
    informed = problem.search(priors).ask(0, 8)
    assert informed != problem.search().ask(0, 8)
    told = problem.search()
    told.tell(priors)
    assert informed == told.ask(0, 8)


def test_failed_trials_change_nothing() -> None:
    """A search told failures besides proposes the same."""
    problem = Problem(options=OPTIONS)
    trials = problem.drawn(40)
    search, spared = problem.search(), problem.search()
    search.tell(trials)
    spared.tell([trial for trial in trials if trial.number % 11 != 3])
    assert search.ask(5, 8) == spared.ask(5, 8)


def test_points_of_one_generation_keep_apart() -> None:
    """What is proposed repels what follows: no heap of equal points at the best trial."""
    line = Space((Parameter("x", DoubleRange(0.0, 1.0)),))
    problem = Problem(
        space=line,
        objective=lambda point: -abs(float(point["x"]) - 0.3),
        options=SearchOptions(startup_trial_count=10),
        flawless=True,
    )
    search = problem.search()
    search.tell(problem.drawn(200))
    apart = sorted(float(point["x"]) for point in search.ask(9, 8))
    alone = [float(search.ask(generation, 1)[0]["x"]) for generation in range(8)]
    assert min(b - a for a, b in itertools.pairwise(apart)) > 1e-4
    assert max(apart) - min(apart) > max(alone) - min(alone)


@pytest.mark.parametrize("multivariate", [False, True])
def test_the_region_of_the_optimum_is_found_sooner_than_by_chance(multivariate: bool) -> None:
    """In every one of five studies the last points are better than random ones on average."""
    for seed in range(5):
        options = SearchOptions(multivariate=multivariate)
        problem = Problem(seed=seed, options=options, flawless=True)
        reached = [merit(point) for point in points_of(problem.run(problem.search(), 13))]
        chance = RandomSearch(MIXED, (), seed, 8)
        drawn = [merit(chance.point(number)) for number in range(104)]
        assert statistics.median(reached[-40:]) > statistics.median(drawn) + 0.5
        assert max(reached) > max(drawn)


def test_several_objectives_are_not_for_this_search() -> None:
    """They have a search of their own."""
    plan = replace(Problem().plan, objectives=(Objective("a", True), Objective("b", True)))
    with pytest.raises(ValueError, match="too many values"):
        TpeSearch(plan)
