"""Made-up studies for the Bayesian search: spaces of every kind, objectives that cost nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from services.optimizer.core.searches.random_search import drawn_point
from services.optimizer.core.searches.tpe.search import TpeSearch
from services.optimizer.core.spec.constraints import read_constraints
from services.optimizer.core.spec.draft import SearchKind, SearchOptions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import IntermediateValue, Outcome, Point, Trial, TrialState

DOMAINS: dict[str, Domain] = {
    "fast_period": IntRange(2, 40),
    "slow_period": IntRange(5, 120, step=5),
    "hold_bars": IntRange(1, 500, log=True),
    "budget": IntRange(0, 3_000),
    "leverage": Fixed(2),
    "width": DoubleRange(0.1, 3.1, step=0.1),
    "stop_loss_ratio": DoubleRange(0.001, 0.5, log=True),
    "threshold": DoubleRange(-1.0, 1.0),
    "alone": IntRange(7, 7),
    "average": Categories(("sma", "ema", "wma")),
}
MIXED = Space(tuple(Parameter(name, domain) for name, domain in DOMAINS.items()))


def merit(point: Point) -> float:
    """Return a number for a point of `MIXED`, of plain arithmetic: the same on every CPU."""
    fast, slow, hold, budget = (
        float(point[name]) for name in ("fast_period", "slow_period", "hold_bars", "budget")
    )
    width, stop, threshold = (
        float(point[name]) for name in ("width", "stop_loss_ratio", "threshold")
    )
    bonus = 0.4 if point["average"] == "ema" else 0.0
    return (
        bonus
        - ((fast - 12.0) / 20.0) ** 2
        - abs(slow - 3.0 * fast) / 60.0
        - abs(width - 1.3)
        - 10.0 * (stop - 0.05) * (stop - 0.05)
        - threshold * threshold
        - (hold - 40.0) * (hold - 40.0) / 90_000.0
        + budget / 9_000.0
    )


@dataclass(frozen=True)
class Problem:
    """A study over a space; `outcome` makes a trial of a number and a point."""

    space: Space = MIXED
    objective: Callable[[Point], float] = merit
    maximize: bool = True
    constraints: tuple[str, ...] = ()
    seed: int = 7
    generation_size: int = 8
    options: SearchOptions = field(default_factory=SearchOptions)
    flawless: bool = False

    @property
    def plan(self) -> StudyPlan:
        """The plan; constraints may name the parameters and the metric "drawdown"."""
        words = frozenset(
            one.name for one in self.space.parameters if isinstance(one.domain, Categories)
        )
        numbers = frozenset(one.name for one in self.space.parameters) - words
        constraints, violations = read_constraints(
            self.constraints, numbers, words, frozenset({"drawdown"})
        )
        assert not violations
        return StudyPlan(
            space=self.space,
            constraints=constraints,
            objectives=(Objective("sharpe_ratio", self.maximize),),
            search=SearchKind.BAYESIAN,
            options=self.options,
            limits=Limits(1_000),
            seed=self.seed,
            generation_size=self.generation_size,
        )

    def search(self, priors: Sequence[Trial] = ()) -> TpeSearch:
        """Return a new search that has been told nothing but priors."""
        return TpeSearch(self.plan, priors)

    def trial(self, number: int, point: Point) -> Trial:
        """Return a finished trial, a pure function of its arguments.

        Unless flawless, some fail, some are pruned, some break a constraint on metrics.
        """
        value = self.objective(point)
        done = Trial(
            number=number,
            generation_number=number // self.generation_size,
            parameters=point,
            state=TrialState.COMPLETE,
            objective_values=(value,),
            constraint_values=(),
            feasible=True,
            outcome=Outcome(),
            start_time_ms=0,
            end_time_ms=1,
        )
        if self.flawless:
            return done
        if self.plan.constraints.on_metrics:
            broken = (float(number % 5) - 3.5,) if number % 7 else ()
            feasible = number % 7 != 0 and number % 5 < 4
            done = replace(done, constraint_values=broken, feasible=feasible)
        if number % 11 == 3:
            return replace(done, state=TrialState.FAILED, objective_values=(), feasible=False)
        if number % 6 == 5:
            rungs = (IntermediateValue(100, value), IntermediateValue(200, value / 2.0))
            outcome = Outcome(pruned=True, intermediate_values=rungs[: 1 + number % 2])
            return replace(
                done,
                state=TrialState.PRUNED,
                objective_values=(),
                constraint_values=(),
                feasible=False,
                outcome=outcome,
            )
        return done

    def drawn(self, count: int) -> list[Trial]:
        """Return trials of points drawn by chance."""
        return [
            self.trial(number, drawn_point(self.space, self.seed + 1, number, 0))
            for number in range(count)
        ]

    def run(
        self, search: TpeSearch, generation_count: int, first_generation: int = 0
    ) -> list[Trial]:
        """Ask and tell generations, and return the trials."""
        trials: list[Trial] = []
        first = first_generation * self.generation_size
        for generation in range(first_generation, first_generation + generation_count):
            points = search.ask(generation, self.generation_size)
            told = [
                self.trial(first + len(trials) + place, point) for place, point in enumerate(points)
            ]
            search.tell(told)
            trials += told
        return trials


def digest(points: Sequence[Point]) -> str:
    """Return a digest of points, of names, types and all bits."""
    return hashlib.sha256(repr([list(point.items()) for point in points]).encode()).hexdigest()
