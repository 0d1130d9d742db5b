"""Bayesian search by Optuna's TPE, as a pure function of seed, generation and told trials.

An Optuna study in memory holds the told trials and nothing else that matters: whatever is drawn in
a generation is marked failed before `ask` returns, which TPE never looks at. So a study that was
resumed from its stored trials is in the state of one that was never interrupted. Every generation
gets a new sampler with a seed of its own; no random state lives longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from services.optimizer.adapters.optuna_terms import (
    constraints_of,
    directions_of,
    distribution_of,
    domain_of,
    speak_through_logging,
    typed_value,
)
from services.optimizer.core import trial as core
from services.optimizer.core.ports import SearchedParameter
from services.optimizer.core.random_search import ATTEMPT_LIMIT, space_infeasible, value_of
from services.optimizer.core.seeds import draw

_SUGGESTIONS_PER_POINT = 6
"""Suggestions of TPE per point, over a generation: beyond them points are drawn by chance."""

_LEFTOVER_LIMIT = 1_000
"""Drawn trials kept in Optuna's memory beyond the told ones; they cost only time."""


_NUMPY_SEED_LIMIT = 2**32
"""Seeds of Optuna's samplers lie below this."""


class TpeSearch:
    """Proposes points by a tree-structured Parzen estimator (Optuna 5's defaults).

    Single-objective: multivariate; several objectives: one parameter at a time (MOTPE). Trials
    asked in one generation repel each other (constant liar). A point that breaks the parameter
    constraints is drawn again, by TPE as long as the generation's suggestions last, then uniformly.
    """

    def __init__(
        self,
        *,
        searched: Sequence[SearchedParameter],
        fixed: Mapping[str, core.Value],
        order: Sequence[str],
        maximize: Sequence[bool],
        constraint_count: int,
        seed: int,
        startup_trial_count: int,
        accept: Callable[[core.Point], bool],
    ) -> None:
        """Plan a search.

        Args:
            searched: The searched parameters; at least one.
            fixed: The fixed parameters with their values.
            order: Names of all parameters in the order of the spec.
            maximize: For each objective whether larger is better.
            constraint_count: Number of constraints on metrics.
            seed: The study's seed.
            startup_trial_count: Complete trials wanted before the estimator starts; uniform till
                then.
            accept: Whether a point fulfils the constraints on parameters.
        """
        speak_through_logging()
        self._domains = {item.name: domain_of(item) for item in searched}
        self._distributions = {item.name: distribution_of(item) for item in searched}
        self._fixed = dict(fixed)
        self._order = tuple(order)
        self._maximize = tuple(maximize)
        self._constraint_names = tuple(map(str, range(constraint_count)))
        self._seed = seed
        self._startup_trial_count = startup_trial_count
        self._accept = accept
        self._study = self._new_study()
        self._leftover_count = 0
        self._suggestions_left = 0

    def ask(self, generation_number: int, count: int) -> list[core.Point]:
        """Return the next `count` points; blocks for some milliseconds each.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE when no point is found that fulfils the
                parameter constraints.
        """
        self._drop_leftovers()
        self._study.sampler = TPESampler(
            n_startup_trials=self._startup_trial_count,
            seed=draw(self._seed, "tpe", generation_number) % _NUMPY_SEED_LIMIT,
        )
        self._suggestions_left = _SUGGESTIONS_PER_POINT * count
        running: list[optuna.Trial] = []
        try:
            return [
                self._suggest(running) or self._draw(generation_number, place, running)
                for place in range(count)
            ]
        finally:
            for trial in running:
                self._discard(trial)

    def tell(self, trials: Sequence[core.Trial]) -> None:
        """Learn from finished trials, in order. Failed ones teach TPE nothing."""
        self._study.add_trials(
            self._frozen(trial) for trial in trials if trial.state is core.TrialState.COMPLETE
        )

    def _suggest(self, running: list[optuna.Trial]) -> core.Point | None:
        while self._suggestions_left:
            self._suggestions_left -= 1
            trial = self._study.ask(self._distributions)
            # Refused ones stay till the generation's end as well: the liar repels what follows
            # from where the constraints do not hold.
            running.append(trial)
            point = self._point(trial.params)
            if self._accept(point):
                return point
        return None

    def _draw(self, generation_number: int, place: int, running: list[optuna.Trial]) -> core.Point:
        for attempt in range(ATTEMPT_LIMIT):
            drawn = {
                name: value_of(
                    domain,
                    draw(self._seed, "tpe", generation_number, place, attempt, name),
                )
                for name, domain in self._domains.items()
            }
            point = self._point(drawn)
            if self._accept(point):
                self._study.enqueue_trial(drawn)
                running.append(self._study.ask(self._distributions))
                return point
        raise space_infeasible(f"{ATTEMPT_LIMIT:,} draws fulfilled the constraints not once")

    def _point(self, suggested: Mapping[str, core.Value]) -> core.Point:
        typed = {
            name: typed_value(domain, suggested[name]) for name, domain in self._domains.items()
        }
        values = {**self._fixed, **typed}
        return {name: values[name] for name in self._order}

    def _frozen(self, trial: core.Trial) -> FrozenTrial:
        return create_trial(
            values=trial.objective_values,
            params={name: trial.parameters[name] for name in self._domains},
            distributions=self._distributions,
            constraints=constraints_of(trial, self._constraint_names),
        )

    def _discard(self, trial: optuna.Trial) -> None:
        self._study.tell(trial, state=TrialState.FAIL)
        self._leftover_count += 1

    def _drop_leftovers(self) -> None:
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if self._leftover_count > max(_LEFTOVER_LIMIT, len(complete)):
            self._study = self._new_study()
            self._study.add_trials(complete)
            self._leftover_count = 0

    def _new_study(self) -> optuna.Study:
        return optuna.create_study(directions=directions_of(self._maximize))
