"""Spaces and a made-up market for the optimizer's adapters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from services.optimizer.adapters.optuna_search import TpeSearch
from services.optimizer.core.ports import Search, SearchedParameter
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState, Value

MIXED = (
    SearchedParameter("fast_period", "int", 2, 40),
    SearchedParameter("slow_period", "int", 5, 120, step=5),
    SearchedParameter("hold_bars", "int", 1, 500, log=True),
    SearchedParameter("width", "double", 0.1, 3.1, step=0.1),
    SearchedParameter("stop_loss_ratio", "double", 0.001, 0.5, log=True),
    SearchedParameter("threshold", "double", -1.0, 1.0),
    SearchedParameter("average", "category", categories=("sma", "ema")),
)


@dataclass(frozen=True)
class Problem:
    """A search over `MIXED` with an objective that costs nothing, and how to run it."""

    maximize: tuple[bool, ...] = (True,)
    constraint_count: int = 0
    seed: int = 7
    accept: Callable[[Point], bool] = field(default=lambda point: True)
    failing: Callable[[int], bool] = field(default=lambda number: number % 11 == 3)

    def search(self, startup_trial_count: int = 6) -> TpeSearch:
        """Return a new search that has been told nothing."""
        fixed: Mapping[str, Value] = {"position_fraction_ratio": 0.5}
        return TpeSearch(
            searched=MIXED,
            fixed=fixed,
            order=[*(parameter.name for parameter in MIXED[:3]), *fixed, *names_after(3)],
            maximize=self.maximize,
            constraint_count=self.constraint_count,
            seed=self.seed,
            startup_trial_count=startup_trial_count,
            accept=self.accept,
        )

    def trial(self, number: int, generation: int, point: Point) -> Trial:
        """Return the point as a finished trial; a pure function of its arguments."""
        if self.failing(number):
            return Trial(
                number=number,
                generation_number=generation,
                parameters=point,
                state=TrialState.FAILED,
                objective_values=(),
                constraint_values=(),
                feasible=False,
                outcome=Outcome(failure_reason="SET_FAILED", failure_message="made up"),
                start_time_ms=0,
                end_time_ms=1,
            )
        values = tuple(merit(point, place) for place in range(len(self.maximize)))
        constraints = tuple(
            float(point["fast_period"]) - 25.0 - place for place in range(self.constraint_count)
        )
        if constraints and number % 7 == 5:
            constraints = ()
        return Trial(
            number=number,
            generation_number=generation,
            parameters=point,
            state=TrialState.COMPLETE,
            objective_values=values,
            constraint_values=constraints,
            feasible=all(value <= 0 for value in constraints),
            outcome=Outcome(metrics={"sharpe_ratio": values[0]}),
            start_time_ms=0,
            end_time_ms=1,
        )

    def run(self, search: Search, generations: Sequence[int], first_number: int = 0) -> list[Trial]:
        """Ask and tell the numbered generations of 8, and return the trials."""
        trials: list[Trial] = []
        for generation in generations:
            points = search.ask(generation, 8)
            told = [
                self.trial(first_number + len(trials) + place, generation, point)
                for place, point in enumerate(points)
            ]
            search.tell(told)
            trials += told
        return trials


def names_after(place: int) -> list[str]:
    """Return the names of `MIXED` from a place on."""
    return [parameter.name for parameter in MIXED[place:]]


def merit(point: Point, objective: int) -> float:
    """Return a rugged number for a point, finite and the same for equal points."""
    fast, slow = float(point["fast_period"]), float(point["slow_period"])
    wave = math.sin(fast / 3.0) * math.cos(slow / 17.0)
    bonus = 0.4 if point["average"] == ("ema", "sma")[objective % 2] else 0.0
    return (
        wave
        + bonus
        - abs(float(point["width"]) - 1.3 - objective)
        - abs(math.log(float(point["stop_loss_ratio"])) + 3.0) / 5.0
        - float(point["threshold"]) ** 2
        + math.log(float(point["hold_bars"])) / 9.0
    )


@pytest.fixture
def mixed_space() -> tuple[SearchedParameter, ...]:
    """Every kind of searched parameter."""
    return MIXED


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """Make a problem; keyword arguments as the fields of `Problem`."""
    return Problem
