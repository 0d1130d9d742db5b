"""Bayesian search for one objective: a tree-structured Parzen estimator.

The rules are those of Optuna 5's TPESampler (J. Bergstra et al., Algorithms for hyper-parameter
optimization, 2011; S. Watanabe, Tree-structured Parzen estimator, 2023), with one fit per
generation, a window over the trials that are not good, and arithmetic whose bits are the same on
every CPU. A study that was resumed from its stored trials proposes what it would have proposed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.optimizer.core.searches.random_search import ATTEMPT_LIMIT, space_infeasible, value_of
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.searches.tpe.axes import axis_of, only_value
from services.optimizer.core.searches.tpe.candidates import Estimator
from services.optimizer.core.searches.tpe.history import History
from services.optimizer.core.searches.tpe.parzen import Axes, Parzen
from services.optimizer.core.searches.tpe.proposals import Proposals
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import accepts
from services.optimizer.core.trial import Point, Trial, Value


class TpeSearch:
    """A `Search` for one objective.

    Until enough complete trials are told, and where the estimator finds no point that fulfils the
    constraints on parameters, points are drawn uniformly. Otherwise each is the candidate of the
    largest merit that fulfils them. A point may come twice.
    """

    def __init__(self, plan: StudyPlan, priors: Sequence[Trial] = ()) -> None:
        """Plan a search.

        Args:
            plan: The study; its search need not be BAYESIAN.
            priors: Trials of other studies within this space, learnt from before the first
                generation. They count as trials towards the start of the estimator.

        Raises:
            ValueError: the plan has several objectives.
        """
        (objective,) = plan.objectives
        self._plan = plan
        found = {one.name: axis_of(one) for one in plan.space.parameters}
        self._fixed = {
            one.name: only_value(one) for one in plan.space.parameters if found[one.name] is None
        }
        self._axes = Axes.of(
            [axis for axis in found.values() if axis is not None], joint=plan.options.multivariate
        )
        self._history = History(
            self._axes.all,
            maximize=objective.maximize,
            constrained=bool(plan.constraints.on_metrics),
            window=plan.options.history_window,
        )
        self._history.tell(priors)
        self._good = Parzen(self._axes, self._history.split()[0])

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first `count` points.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE when no point is found that fulfils the
                parameter constraints.
        """
        startup = self._history.complete_count < self._plan.options.startup_trial_count
        if startup or not self._axes.all:
            return [self._drawn(generation_number, place) for place in range(count)]
        proposals = Proposals(
            self._estimator(),
            self._plan.seed,
            generation_number,
            count,
        )
        return [self._suggested(proposals, generation_number, place) for place in range(count)]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials, in order. Failed ones teach nothing."""
        self._history.tell(trials)

    def _estimator(self) -> Estimator:
        good, other = self._history.split()
        # The good trials seldom change once there are many.
        if not np.array_equal(good, self._good.places):
            self._good = Parzen(self._axes, good)
        return Estimator(self._good, Parzen(self._axes, other))

    def _suggested(self, proposals: Proposals, generation_number: int, place: int) -> Point:
        for offer in proposals.offers(place):
            point = self._point(offer.values)
            if self._accepts(point):
                proposals.take(place, offer.candidate)
                return point
        point = self._drawn(generation_number, place)
        proposals.take_values(place, [point[axis.name] for axis in self._axes.all])
        return point

    def _drawn(self, generation_number: int, place: int) -> Point:
        """Return the first of a place's uniform draws that fulfils the constraints."""
        names = ("tpe", generation_number, place)
        for attempt in range(ATTEMPT_LIMIT):
            point = {
                one.name: value_of(one.domain, draw(self._plan.seed, *names, attempt, one.name))
                for one in self._plan.space.parameters
            }
            if self._accepts(point):
                return point
        raise space_infeasible(f"{ATTEMPT_LIMIT:,} draws fulfilled the constraints not once")

    def _accepts(self, point: Point) -> bool:
        return accepts(point, self._plan.constraints.on_parameters)

    def _point(self, values: Sequence[Value]) -> Point:
        """Return the whole point with these values of the axes."""
        known = dict(self._fixed)
        known.update((axis.name, value) for axis, value in zip(self._axes.all, values, strict=True))
        return {one.name: known[one.name] for one in self._plan.space.parameters}
