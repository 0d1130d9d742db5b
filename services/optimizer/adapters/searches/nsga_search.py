"""Evolutionary search by NSGA-II or NSGA-III: a generation of the study is one of the population.

Parents are the survivors of all trials told so far. Failed and pruned trials are no parents and
have no other effect: the next generation is bred from who there is. What is drawn at random, the
first generation and mutations, is drawn by hashes and exact arithmetic as in a random search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from services.optimizer.adapters.searches.genetics import (
    COMPETITORS_AT_ONCE,
    SMALLEST_POPULATION,
    Genetics,
)
from services.optimizer.core.searches.random_search import feasible_point, value_of
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import accepts
from services.optimizer.core.trial import Point, Trial, TrialState, Value

_CHILDREN_PER_POINT: Final = 20
"""Children bred for a point till one fulfils the constraints on parameters and is new."""


class NsgaSearch:
    """Breeds each generation from the best trials told so far.

    A child that breaks the constraints on parameters, or equals a parent or a point of its own
    generation, is bred again; after some attempts a point is drawn uniformly. So is every point
    as long as there are no two parents.
    """

    def __init__(self, plan: StudyPlan, priors: Sequence[Trial] = ()) -> None:
        """Plan a search; `priors` are trials of others, which compete before the first generation.

        The population is the plan's generation size.
        """
        self._space = plan.space
        self._filters = plan.constraints.on_parameters
        self._seed = plan.seed
        self._genetics = Genetics(
            plan.objectives,
            len(plan.constraints.on_metrics),
            plan.generation_size,
            nsga3=plan.options.nsga3,
        )
        self._names = tuple(one.name for one in plan.space.searched if one.domain.point_count != 1)
        self._parents: list[Trial] = []
        for first in range(0, len(priors), COMPETITORS_AT_ONCE):
            self._select(priors[first : first + COMPETITORS_AT_ONCE], ("priors", first))

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE when no point is found that fulfils the
                parameter constraints.
        """
        heredities: Iterator[Mapping[str, int]] | None = None
        if len(self._parents) >= SMALLEST_POPULATION:
            seed = draw(self._seed, "nsga", generation_number)
            heredities = self._genetics.heredities(self._parents, self._names, seed)
        seen = {self._identity(parent.parameters) for parent in self._parents}
        points: list[Point] = []
        for place in range(count):
            purpose = ("nsga", generation_number, place)
            point = self._bred(heredities, purpose, seen) if heredities else None
            if point is None:
                point = feasible_point(self._space, self._filters, self._seed, *purpose, "uniform")
            seen.add(self._identity(point))
            points.append(point)
        return points

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let finished, whole generations compete with the parents of now."""
        for generation_number, generation in groupby(trials, attrgetter("generation_number")):
            self._select(list(generation), ("generation", generation_number))

    def _select(self, trials: Sequence[Trial], purpose: tuple[object, ...]) -> None:
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        seed = draw(self._seed, "nsga survivors", *purpose)
        competitors = [*complete, *self._parents]
        chosen = self._genetics.survivors(competitors, seed)
        self._parents = [competitors[place] for place in chosen]

    def _bred(
        self,
        heredities: Iterator[Mapping[str, int]],
        purpose: tuple[object, ...],
        seen: set[tuple[Value, ...]],
    ) -> Point | None:
        for attempt in range(_CHILDREN_PER_POINT):
            point = self._child(next(heredities), (*purpose, attempt))
            if self._identity(point) not in seen and accepts(point, self._filters):
                return point
        return None

    def _child(self, heredity: Mapping[str, int], purpose: tuple[object, ...]) -> Point:
        values: dict[str, Value] = {}
        for parameter in self._space.parameters:
            name, parent = parameter.name, heredity.get(parameter.name)
            if parent is not None:
                values[name] = self._parents[parent].parameters[name]
            else:
                values[name] = value_of(parameter.domain, draw(self._seed, *purpose, name))
        return values

    def _identity(self, point: Point) -> tuple[Value, ...]:
        return tuple(point[name] for name in self._names)
