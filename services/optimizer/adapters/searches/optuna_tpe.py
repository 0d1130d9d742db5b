"""Bayesian search for several objectives: Optuna's MOTPE as a pure function of the trials told.

Each generation gets an Optuna study of its own in memory, holding the trials that are kept, and a
new sampler with a seed of its own; nothing of it outlives the generation. So a study resumed from
its stored trials is in the state of one that was never interrupted.

Its bits are those of one kind of processor: the estimator is made of numpy's exponentials and
logarithms, which differ in the last place with and without AVX2. That was observed to move points
in the first generation that it proposes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, create_trial

from services.optimizer.adapters.optuna_terms import (
    NUMPY_SEED_LIMIT,
    constraints_of,
    directions_of,
    distribution_of,
    speak_through_logging,
    typed_value,
)
from services.optimizer.adapters.searches.genetics import COMPETITORS_AT_ONCE, Genetics
from services.optimizer.core.searches.random_search import feasible_point
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import accepts
from services.optimizer.core.trial import Point, Trial, TrialState, Value

_SUGGESTIONS_PER_POINT: Final = 6
"""Suggestions per point, over a whole generation: beyond them points are drawn by chance."""

_GOOD_TRIALS: Final = 50
"""Most good trials kept, however old: twice as many as Optuna ever takes for good."""


class _Told(NamedTuple):
    """A complete trial with its place in the order of telling."""

    place: int
    trial: Trial
    frozen: FrozenTrial


class OptunaTpeSearch:
    """Proposes points by a tree-structured Parzen estimator for several objectives.

    Trials asked in one generation repel each other (constant liar). A point that breaks the
    parameter constraints is drawn again, by the estimator as long as the generation's suggestions
    last, then uniformly.

    The estimator sees the latest `history_window` complete trials and, however old, the good ones:
    the 50 that survive NSGA-II's selection (feasible, little dominated, spread along the front),
    of which Optuna chooses those its first density is made of. Until more trials than that are
    told it sees all, and this is Optuna's MOTPE as it is.
    """

    def __init__(self, plan: StudyPlan, priors: Sequence[Trial] = ()) -> None:
        """Plan a search; `priors` are trials of others, told before all others."""
        speak_through_logging()
        self._space = plan.space
        self._filters = plan.constraints.on_parameters
        self._seed = plan.seed
        self._options = plan.options
        self._suggestion_count = _SUGGESTIONS_PER_POINT * plan.generation_size
        self._directions = directions_of(plan.shape.maximize)
        self._distributions = {one.name: distribution_of(one) for one in plan.shape.searched}
        self._domains = {one.name: one.domain for one in plan.space.searched}
        constraint_count = len(plan.constraints.on_metrics)
        self._constraint_names = tuple(map(str, range(constraint_count)))
        self._selection = Genetics(plan.objectives, constraint_count, _GOOD_TRIALS)
        self._told_count = 0
        self._good: list[_Told] = []
        self._latest: deque[_Told] = deque(maxlen=plan.options.history_window)
        for first in range(0, len(priors), COMPETITORS_AT_ONCE):
            self._keep(priors[first : first + COMPETITORS_AT_ONCE])

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points; blocks for some milliseconds each.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE when no point is found that fulfils the
                parameter constraints.
        """
        if self._told_count < self._options.startup_trial_count:
            return [self._drawn(generation_number, place) for place in range(count)]
        study = self._study(generation_number)
        suggestions_left = self._suggestion_count
        points: list[Point] = []
        for place in range(count):
            point = None
            while suggestions_left and point is None:
                suggestions_left -= 1
                # Refused ones stay: the liar repels what follows from where constraints are broken.
                suggested = self._point(study.ask(self._distributions).params)
                point = suggested if accepts(suggested, self._filters) else None
            if point is None:
                point = self._drawn(generation_number, place)
                study.enqueue_trial({name: point[name] for name in self._domains})
                study.ask(self._distributions)
            points.append(point)
        return points

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished, whole generations. Failed trials teach nothing."""
        for _, generation in groupby(trials, attrgetter("generation_number")):
            self._keep(list(generation))

    def _keep(self, trials: Sequence[Trial]) -> None:
        told = [
            _Told(self._told_count + place, trial, self._frozen(trial))
            for place, trial in enumerate(one for one in trials if one.state is TrialState.COMPLETE)
        ]
        self._told_count += len(told)
        self._latest.extend(told)
        competitors = [*told, *self._good]
        chosen = self._selection.survivors([one.trial for one in competitors], 0)
        self._good = [competitors[place] for place in chosen]

    def _study(self, generation_number: int) -> optuna.Study:
        sampler = TPESampler(
            n_startup_trials=0,
            multivariate=self._options.multivariate,
            seed=draw(self._seed, "tpe", generation_number) % NUMPY_SEED_LIMIT,
        )
        study = optuna.create_study(directions=self._directions, sampler=sampler)
        kept = {one.place: one.frozen for one in (*self._good, *self._latest)}
        study.add_trials(kept[place] for place in sorted(kept))
        return study

    def _drawn(self, generation_number: int, place: int) -> Point:
        purpose = ("tpe", generation_number, place, "uniform")
        return feasible_point(self._space, self._filters, self._seed, *purpose)

    def _point(self, suggested: Mapping[str, Value]) -> Point:
        values = self._space.fixed | {
            name: typed_value(domain, suggested[name]) for name, domain in self._domains.items()
        }
        return {one.name: values[one.name] for one in self._space.parameters}

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return create_trial(
            values=trial.objective_values,
            params={name: trial.parameters[name] for name in self._domains},
            distributions=self._distributions,
            constraints=constraints_of(trial, self._constraint_names),
        )
