"""Studies over a table: what each search has reached after every evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import optuna

from benchmarks.parts.crossover_table import METRIC, SPACE, CrossoverTable
from services.optimizer.core.ports import Search
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.searches.tpe.search import TpeSearch
from services.optimizer.core.spec.constraints import Constraints
from services.optimizer.core.spec.draft import SearchKind, SearchOptions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories, IntRange
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState

Values = npt.NDArray[np.float64]
Study = Callable[[CrossoverTable, int, int], Values]
"""Of a table, a seed and a number of evaluations: the value of each evaluation."""


def chance(table: CrossoverTable, seed: int, count: int) -> Values:
    """Search at random."""
    search = RandomSearch(SPACE, (), seed, count)
    return np.array([table.value(search.point(number)) for number in range(count)])


def ours(generation_size: int, *, multivariate: bool = True, history_window: int = 256) -> Study:
    """Return our TPE with generations of a size."""

    def study(table: CrossoverTable, seed: int, count: int) -> Values:
        options = SearchOptions(multivariate=multivariate, history_window=history_window)
        return _run(TpeSearch(_plan(seed, generation_size, options)), table, generation_size, count)

    return study


def optunas(generation_size: int) -> Study:
    """Return Optuna's TPE with its defaults, so many trials asked before any is told."""

    def study(table: CrossoverTable, seed: int, count: int) -> Values:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed)
        run = optuna.create_study(direction="maximize", sampler=sampler)
        values: list[float] = []
        while len(values) < count:
            trials = [run.ask(_distributions()) for _ in range(generation_size)]
            for trial in trials:
                values.append(table.value(trial.params))
                run.tell(trial, values[-1])
        return np.array(values[:count])

    return study


def _run(search: Search, table: CrossoverTable, generation_size: int, count: int) -> Values:
    values: list[float] = []
    generation = 0
    while len(values) < count:
        points = search.ask(generation, generation_size)
        told = [table.value(point) for point in points]
        search.tell(
            [
                _trial(len(values) + place, generation, point, value)
                for place, (point, value) in enumerate(zip(points, told, strict=True))
            ]
        )
        values += told
        generation += 1
    return np.array(values[:count])


def _plan(seed: int, generation_size: int, options: SearchOptions) -> StudyPlan:
    return StudyPlan(
        space=SPACE,
        constraints=Constraints(),
        objectives=(Objective(METRIC, maximize=True),),
        search=SearchKind.BAYESIAN,
        options=options,
        limits=Limits(1_000),
        seed=seed,
        generation_size=generation_size,
    )


def _trial(number: int, generation: int, point: Point, value: float) -> Trial:
    return Trial(
        number=number,
        generation_number=generation,
        parameters=point,
        state=TrialState.COMPLETE,
        objective_values=(value,),
        constraint_values=(),
        feasible=True,
        outcome=Outcome(),
        start_time_ms=0,
        end_time_ms=0,
    )


def _distributions() -> dict[str, optuna.distributions.BaseDistribution]:
    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for one in SPACE.parameters:
        if isinstance(one.domain, IntRange):
            found[one.name] = optuna.distributions.IntDistribution(one.domain.low, one.domain.high)
        elif isinstance(one.domain, Categories):
            found[one.name] = optuna.distributions.CategoricalDistribution(one.domain.values)
    return found
