"""Optuna's NSGA-II and NSGA-III as plain functions of trials: who survives, who inherits from whom.

Optuna's samplers look their populations up in a study and count generations by what they find
there. Here they are handed both: no study has to be kept, a generation with failed trials does not
wait for more, and a resumed search is in the state of an uninterrupted one without replaying any
random number. Costs are all minimised, since Optuna's NSGA-III measures distances as if they were.

A child's parameters are handed over by the place of the parent they come from, not by their value,
so that a value is inherited bit for bit; its mutations are left to the caller.

NSGA-II compares, sorts and divides, so that its choices do not depend on the processor. NSGA-III
measures distances with LAPACK and BLAS as well: the same choices were observed with and without
AVX2 and FMA, but a tie broken by a last digit is possible.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import NSGAIIISampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from services.optimizer.adapters.optuna_terms import (
    NUMPY_SEED_LIMIT,
    constraints_of,
    speak_through_logging,
)
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.trial import Trial

SMALLEST_POPULATION: Final = 2
"""Optuna crosses two different parents."""

COMPETITORS_AT_ONCE: Final = 1_000
"""Trials of others that compete together: sorting all of 100,000 by dominance takes minutes."""


class _Recalled:
    """What a sampler would look up in its study, handed to it instead.

    Generation 0 is all who compete, generation 1 is bred from the parents.
    """

    competitors: Sequence[FrozenTrial] = ()
    parents: Sequence[FrozenTrial] = ()

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """Return the generation to breed."""
        del study, trial
        return 1

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return who competes for a place among the parents."""
        del study, generation
        return list(self.competitors)

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return the parents of a generation."""
        del study
        return list(self.parents) if generation else []


class _NsgaII(_Recalled, NSGAIISampler):
    """NSGA-II with what it needs to know."""


class _NsgaIII(_Recalled, NSGAIIISampler):
    """NSGA-III with what it needs to know."""

    def __init__(self, *, population_size: int, seed: int) -> None:
        # The bare constructor: the decorated one warns of an experiment at every generation, and
        # what would silence the warning is not safe in threads.
        bare = inspect.unwrap(NSGAIIISampler.__init__)
        bare(self, population_size=population_size, seed=seed)


class Genetics:
    """Selection and crossover for the objectives of a study."""

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraint_count: int,
        population_size: int,
        *,
        nsga3: bool = False,
    ) -> None:
        """Prepare for a study.

        Args:
            objectives: The objectives.
            constraint_count: Number of constraints on metrics.
            population_size: Most survivors.
            nsga3: NSGA-III instead of NSGA-II.
        """
        speak_through_logging()
        self._signs = tuple(-1.0 if one.maximize else 1.0 for one in objectives)
        self._constraint_names = tuple(map(str, range(constraint_count)))
        self._population_size = max(population_size, SMALLEST_POPULATION)
        self._nsga3 = nsga3
        self._study = optuna.create_study(directions=["minimize"] * len(self._signs))

    def survivors(self, competitors: Sequence[Trial], seed: int) -> list[int]:
        """Return the places of the best of complete trials, at most the population size.

        Feasible ones come before others, less dominated ones before more dominated ones; among
        equals those in thinly settled parts of the front (NSGA-II) or next to the least used
        reference directions (NSGA-III).

        Args:
            competitors: Complete trials; what is equal in all this depends on their order.
            seed: Of NSGA-III's choice among equals.
        """
        if not competitors:
            return []
        sampler = self._sampler(seed)
        sampler.competitors = [
            self._frozen(trial, place, {}) for place, trial in enumerate(competitors)
        ]
        with np.errstate(all="ignore"):
            chosen = sampler.select_parent(self._study, 1)
        return [one.number for one in chosen]

    def heredities(
        self, parents: Sequence[Trial], names: Sequence[str], seed: int
    ) -> Iterator[Mapping[str, int]]:
        """Yield for one child after the other from which parent it has each of its parameters.

        Args:
            parents: Complete trials, at least two.
            names: The parameters.
            seed: Of all choices.

        Yields:
            The place in `parents` by the name of the parameter; what mutates is left out.
        """
        places = CategoricalDistribution(tuple(range(len(parents))))
        space: dict[str, BaseDistribution] = dict.fromkeys(names, places)
        sampler = self._sampler(seed)
        sampler.parents = [self._frozen(trial, place, space) for place, trial in enumerate(parents)]
        child = create_trial(state=TrialState.RUNNING)
        while True:
            yield sampler.sample_relative(self._study, child, space)

    def _sampler(self, seed: int) -> _NsgaII | _NsgaIII:
        kind = _NsgaIII if self._nsga3 else _NsgaII
        return kind(population_size=self._population_size, seed=seed % NUMPY_SEED_LIMIT)

    def _frozen(
        self, trial: Trial, place: int, space: Mapping[str, BaseDistribution]
    ) -> FrozenTrial:
        frozen = create_trial(
            values=[
                sign * value
                for sign, value in zip(self._signs, trial.objective_values, strict=True)
            ],
            params=dict.fromkeys(space, place),
            distributions=dict(space),
            constraints=constraints_of(trial, self._constraint_names),
        )
        frozen.number = place
        return frozen
