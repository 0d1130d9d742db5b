"""TPE as a pure function: resumed studies propose what uninterrupted ones would have proposed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import AssayError
from services.optimizer.adapters import optuna_search
from services.optimizer.adapters.optuna_search import TpeSearch
from services.optimizer.core.ports import SearchedParameter
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState

Problems = Callable[..., Any]


def digest(trials: Sequence[Trial]) -> str:
    """Return a digest of numbers, typed parameters and values, bit by bit."""
    return hashlib.sha256(
        repr([(t.number, list(t.parameters.items()), t.objective_values) for t in trials]).encode()
    ).hexdigest()


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"maximize": (False,), "constraint_count": 2},
        {"maximize": (True, False), "constraint_count": 1},
        {"accept": lambda point: point["fast_period"] < point["slow_period"]},
        {"accept": lambda point: point["fast_period"] * 4 == point["slow_period"]},
    ],
    ids=["one-objective", "constraints", "two-objectives", "parameter-constraint", "rare-points"],
)
def test_a_resumed_search_goes_on_as_if_it_had_never_been_interrupted(
    problem: Problems, variant: dict[str, Any]
) -> None:
    """Telling all stored generations to a new object leads to the same points, bit for bit."""
    study = problem(**variant)
    whole = study.run(study.search(), range(4))
    for cut in (1, 3):
        resumed = study.search()
        resumed.tell(whole[: cut * 8])
        rest = study.run(resumed, range(cut, 4), first_number=cut * 8)
        assert digest([*whole[: cut * 8], *rest]) == digest(whole)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_how_told_trials_are_cut_into_pieces_does_not_matter(seed: int, pieces: list[int]) -> None:
    """Only the order of told trials counts, not in how many calls they came."""
    parameter = SearchedParameter("x", "double", 0.0, 1.0)
    study = _Line(parameter, seed)
    history = study.trials(sum(pieces))
    at_once, in_pieces = study.search(), study.search()
    at_once.tell(history)
    done = 0
    for piece in pieces:
        in_pieces.tell(history[done : done + piece])
        done += piece
    assert at_once.ask(3, 2) == in_pieces.ask(3, 2)


class _Line:
    """A search over one number, told made-up trials."""

    def __init__(self, parameter: SearchedParameter, seed: int = 1) -> None:
        self.parameter = parameter
        self.seed = seed

    def search(self, accept: Callable[[Point], bool] = lambda point: True) -> TpeSearch:
        return TpeSearch(
            searched=(self.parameter,),
            fixed={},
            order=("x",),
            maximize=(True,),
            constraint_count=0,
            seed=self.seed,
            startup_trial_count=2,
            accept=accept,
        )

    def trials(self, count: int) -> list[Trial]:
        points = self.search().ask(0, count)
        return [_told(number, point) for number, point in enumerate(points)]


def _told(number: int, point: Point) -> Trial:
    return Trial(
        number=number,
        generation_number=0,
        parameters=point,
        state=TrialState.COMPLETE,
        objective_values=(-abs(float(point["x"]) - 0.3),),
        constraint_values=(),
        feasible=True,
        outcome=Outcome(),
        start_time_ms=0,
        end_time_ms=0,
    )


def test_asking_again_without_telling_gives_the_same_generation(problem: Problems) -> None:
    """A generation whose evaluation was lost is proposed again unchanged."""
    study = problem()
    search = study.search()
    study.run(search, range(3))
    assert search.ask(3, 8) == search.ask(3, 8)


def test_generations_and_seeds_differ(problem: Problems) -> None:
    """Neither another generation nor another study repeats the points."""
    first = problem().search().ask(0, 8)
    assert first != problem().search().ask(1, 8)
    assert first != problem(seed=8).search().ask(0, 8)


def test_the_search_learns(problem: Problems) -> None:
    """Later generations are better on average than the random ones at the start."""
    study = problem(failing=lambda number: False)
    values = [trial.objective_values[0] for trial in study.run(study.search(), range(8))]
    assert sum(values[-16:]) / 16 > sum(values[:6]) / 6 + 0.3


def test_every_value_keeps_its_type_and_its_range(
    problem: Problems, mixed_space: tuple[SearchedParameter, ...]
) -> None:
    """Ints are ints, stepped numbers are the decimals of the range, words are of the list."""
    study = problem()
    widths = {round(0.1 * tenths, 1) for tenths in range(1, 32)}
    for trial in study.run(study.search(), range(4)):
        point = trial.parameters
        assert list(point)[:4] == [
            "fast_period",
            "slow_period",
            "hold_bars",
            "position_fraction_ratio",
        ]
        assert type(point["fast_period"]) is int
        assert type(point["hold_bars"]) is int
        assert point["slow_period"] in range(5, 121, 5)
        assert point["width"] in widths
        assert type(point["stop_loss_ratio"]) is float
        assert 0.001 <= point["stop_loss_ratio"] <= 0.5
        assert point["average"] in {"sma", "ema"}
        assert point["position_fraction_ratio"] == 0.5


@pytest.mark.parametrize("high", [1.0, 9_999.999, 1e9])
def test_a_lattice_of_any_fineness_is_kept(high: float) -> None:
    """Values are the decimals low + k x step, also where Optuna cannot count them."""
    line = _Line(SearchedParameter("x", "double", 0.0, high, step=0.001))
    search = line.search()
    for generation in range(3):
        points = search.ask(generation, 8)
        for point in points:
            thousandths = round(float(point["x"]) * 1000)
            assert point["x"] == float(Decimal(thousandths) / 1000)
        search.tell([_told(generation * 8 + place, point) for place, point in enumerate(points)])


def test_refused_points_are_never_proposed(problem: Problems) -> None:
    """Points that break a constraint on parameters are drawn again."""
    study = problem(accept=lambda point: point["fast_period"] * 4 < point["slow_period"])
    trials = study.run(study.search(), range(4))
    assert len(trials) == 32
    assert all(t.parameters["fast_period"] * 4 < t.parameters["slow_period"] for t in trials)


def test_a_space_without_points_is_refused() -> None:
    """Constraints that no point fulfils end the search with SPACE_INFEASIBLE."""
    search = _Line(SearchedParameter("x", "double", 0.0, 1.0)).search(accept=lambda point: False)
    with pytest.raises(AssayError) as refused:
        search.ask(0, 8)
    assert refused.value.reason == "SPACE_INFEASIBLE"


def test_many_refused_points_do_not_pile_up_and_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forgetting drawn points between generations leaves the proposals as they were."""
    monkeypatch.setattr(optuna_search, "_LEFTOVER_LIMIT", 50)

    def few(point: Point) -> bool:
        return 0.3 < float(point["x"]) < 0.31

    line = _Line(SearchedParameter("x", "double", 0.0, 1.0))
    long_lived = line.search(accept=few)
    history: list[Trial] = []
    for generation in range(8):
        points = long_lived.ask(generation, 8)
        resumed = line.search(accept=few)
        resumed.tell(history)
        assert resumed.ask(generation, 8) == points
        told = [_told(len(history) + place, point) for place, point in enumerate(points)]
        long_lived.tell(told)
        history += told
    assert len(long_lived._study.trials) < 200


def test_infeasible_trials_do_not_attract_the_search(problem: Problems) -> None:
    """With the constraint fast_period <= 25 told, later points mostly hold it."""
    study = problem(constraint_count=1, failing=lambda number: False)
    later = study.run(study.search(), range(8))[32:]
    holding = sum(trial.parameters["fast_period"] <= 25 for trial in later)
    assert holding > 0.75 * len(later)


def test_proposals_do_not_depend_on_the_process() -> None:
    """Another interpreter with another hash seed proposes the same points."""
    answers = {
        subprocess.run(
            [sys.executable, "-m", "tests.unit.optimizer_adapters.propose"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed, zone in (("1", "UTC"), ("77", "Asia/Tokyo"))
    }
    assert len(answers) == 1
    assert answers.pop().strip()
