"""Search by CMA-ES with margin (`cmaes.CMAwM`), rebuilt from the trials told.

Each generation is sampled by a generator with a seed of its own, and only ranks are told back, so
the distribution at generation g is a function of the seed and of the trials before it: a resumed
study replays them. Its bits are those of one kind of processor: eigenvectors (LAPACK) and matrix
products (BLAS) differ in the last place between them, which was observed to move points from the
second generation on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.optimizer.adapters.optuna_terms import NUMPY_SEED_LIMIT
from services.optimizer.adapters.searches.cma_axes import axes_of
from services.optimizer.core.searches.random_search import feasible_point, value_of
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import accepts
from services.optimizer.core.trial import Point, Trial, TrialState

_SAMPLES_PER_POINT: Final = 100
"""Samples for a point till one fulfils the constraints on parameters."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Sample:
    """A proposed point.

    Attributes:
        point: The point.
        vector: Where the distribution was sampled, before it was rounded to the lattice.
        own: Whether it was sampled; else it was drawn uniformly.
    """

    point: Point
    vector: Vector
    own: bool


class CmaEsSearch:
    """Proposes points by a normal distribution that follows the better half of each generation.

    It begins at the best trial known, among starting points and the trials of others, else in the
    middle. Generations with starting points teach it nothing else. Trials rank by the objective,
    then infeasible ones by how much they break, then pruned and failed ones; a point that was
    drawn uniformly, because no sample fulfilled the constraints on parameters, ranks behind all. A
    distribution that has come to an end, or of which less than half a generation fulfils the
    constraints, begins again: in the first case at a place drawn by chance, in the second at the
    best trial.
    """

    def __init__(self, plan: StudyPlan, priors: Sequence[Trial] = ()) -> None:
        """Plan a search; `priors` are trials of others, of which the best is where it begins.

        The population is the plan's generation size.
        """
        self._space = plan.space
        self._filters = plan.constraints.on_parameters
        self._seed = plan.seed
        self._size = plan.generation_size
        self._sigma = plan.options.initial_sigma_ratio
        self._sign = -1.0 if plan.objectives[0].maximize else 1.0
        self._opening_count = -(-len(plan.starting_points) // plan.generation_size)
        self._axes = axes_of(plan.space)
        self._restart_count = 0
        self._best: Trial | None = None
        self._remember(priors)
        self._distribution = self._begun_at_best()
        self._latest: tuple[int, list[_Sample]] = (-1, [])

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE when no point is found that fulfils the
                parameter constraints.
        """
        return [sample.point for sample in self._samples(generation_number, count)]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished, whole generations."""
        for generation_number, generation in groupby(trials, attrgetter("generation_number")):
            told = list(generation)
            self._remember(told)
            if generation_number >= self._opening_count:
                self._learn(generation_number, told)
            elif generation_number == self._opening_count - 1:
                self._distribution = self._begun_at_best()
            self._latest = (-1, [])

    def _learn(self, generation_number: int, trials: Sequence[Trial]) -> None:
        samples = self._samples(generation_number, len(trials))
        if not self._axes:
            return
        if sum(sample.own for sample in samples) < len(samples) / 2:
            self._distribution = self._begun_at_best()
            return
        order = sorted(
            range(len(trials)),
            key=lambda place: (not samples[place].own, *self._rank(trials[place])),
        )
        ranked = [(samples[place].vector, float(rank)) for rank, place in enumerate(order)]
        if self._is_over_after(ranked):
            self._distribution = self._begun_by_chance()

    def _is_over_after(self, ranked: list[tuple[Vector, float]]) -> bool:
        try:
            with np.errstate(all="ignore"):
                self._distribution.tell(ranked)
                over = self._distribution.should_stop()
        except np.linalg.LinAlgError:
            return True
        return bool(over) or not np.isfinite(self._distribution.mean).all()

    def _rank(self, trial: Trial) -> tuple[int, float]:
        if trial.feasible:
            return 0, self._sign * trial.objective_values[0]
        if trial.state is not TrialState.COMPLETE:
            return (2 if trial.state is TrialState.PRUNED else 3), 0.0
        violation = math.fsum(max(value, 0.0) for value in trial.constraint_values)
        return 1, violation if trial.constraint_values else math.inf

    def _remember(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            if trial.feasible and (
                self._best is None or self._rank(trial) < self._rank(self._best)
            ):
                self._best = trial

    def _samples(self, generation_number: int, count: int) -> list[_Sample]:
        known_number, known = self._latest
        if known_number != generation_number or len(known) < count:
            if self._axes:
                seed = draw(self._seed, "cma_es", generation_number) % NUMPY_SEED_LIMIT
                self._distribution.reseed_rng(seed)
            known = [self._sample(generation_number, place) for place in range(count)]
            self._latest = (generation_number, known)
        return known[:count]

    def _sample(self, generation_number: int, place: int) -> _Sample:
        purpose = ("cma_es", generation_number, place)
        for attempt in range(_SAMPLES_PER_POINT if self._axes else 0):
            with np.errstate(all="ignore"):
                rounded, vector = self._distribution.ask()
            point = self._point(rounded, (*purpose, attempt))
            if accepts(point, self._filters):
                return _Sample(point, vector, own=True)
        point = feasible_point(self._space, self._filters, self._seed, *purpose, "uniform")
        return _Sample(point, self._vector(point), own=False)

    def _point(self, rounded: Vector, purpose: tuple[object, ...]) -> Point:
        adapted = {
            axis.name: axis.value(float(place))
            for axis, place in zip(self._axes, rounded, strict=True)
        }
        return {
            one.name: adapted[one.name]
            if one.name in adapted
            else value_of(one.domain, draw(self._seed, *purpose, one.name))
            for one in self._space.parameters
        }

    def _vector(self, point: Point) -> Vector:
        return np.array([axis.coordinate(point[axis.name]) for axis in self._axes])

    def _begun_at_best(self) -> Any:
        if self._best is None:
            return self._begun(np.full(len(self._axes), 0.5))
        return self._begun(self._vector(self._best.parameters))

    def _begun_by_chance(self) -> Any:
        self._restart_count += 1
        purpose = ("cma_es restart", self._restart_count)
        drawn = [axis.drawn(draw(self._seed, *purpose, axis.name)) for axis in self._axes]
        return self._begun(np.array(drawn))

    def _begun(self, mean: Vector) -> Any:
        if not self._axes:
            return None
        # Loading it takes a second that starting up need not wait for; cmaes ships no types.
        from cmaes import CMAwM  # type: ignore[import-untyped]  # noqa: PLC0415

        return CMAwM(
            mean=mean,
            sigma=self._sigma,
            bounds=np.tile([0.0, 1.0], (len(self._axes), 1)),
            steps=np.array([axis.step for axis in self._axes]),
            population_size=self._size,
            seed=0,
        )
