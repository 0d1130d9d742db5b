"""A study as a caller describes it, before anybody has checked it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from services.optimizer.core.spec.data_aggregation import DataAggregation
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import Domain
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Point
from services.optimizer.core.walk_forward.rule import WalkForward


class SearchKind(enum.Enum):
    """The searches there are; the value is the field of `StudySpec.search`."""

    GRID = "grid"
    RANDOM = "random"
    BAYESIAN = "bayesian"
    QMC = "qmc"
    CMA_ES = "cma_es"
    EVOLUTIONARY = "evolutionary"
    BRUTE_FORCE = "brute_force"


DEFAULT_GENERATION_SIZE: Final = {
    SearchKind.GRID: 256,
    SearchKind.RANDOM: 256,
    SearchKind.BAYESIAN: 8,
    SearchKind.QMC: 256,
    SearchKind.BRUTE_FORCE: 256,
}
"""CMA-ES and evolutionary search: their population."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What single searches want to know; each field is used by the searches named.

    Attributes:
        startup_trial_count: bayesian: trials drawn at random before the estimator starts.
        multivariate: bayesian: whether parameters are drawn together.
        history_window: bayesian: most trials that are not good kept in the estimator.
        population_size: cma_es, evolutionary: trials per generation, the generation size.
        initial_sigma_ratio: cma_es: initial step as part of each range.
        nsga3: evolutionary: NSGA-III instead of NSGA-II.
    """

    startup_trial_count: int = 10
    multivariate: bool = True
    history_window: int = 256
    population_size: int = 50
    initial_sigma_ratio: float = 1 / 6
    nsga3: bool = False


class PruningKind(enum.Enum):
    """What worse means at a rung; the value is the field of `PruningSpec.rule`."""

    MEDIAN = "median"
    PERCENTILE = "percentile"
    SUCCESSIVE_HALVING = "successive_halving"


@dataclass(frozen=True, slots=True)
class PruningRule:
    """When a trial is given up.

    Attributes:
        kind: Which rule.
        startup_trial_count: Trials with a value at a rung before anything is given up there.
        segment_count: median, percentile: equal segments of the window.
        kept_percent: percentile: per cent of the trials to keep.
        reduction_factor: successive_halving: by how much trials are reduced and rungs grow.
        rung_count: successive_halving: number of rungs.
        rung_bar_counts: The rungs in bars of the window; empty until they are pinned.
    """

    kind: PruningKind
    startup_trial_count: int = 20
    segment_count: int = 8
    kept_percent: float = 50.0
    reduction_factor: int = 4
    rung_count: int = 2
    rung_bar_counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterDraft:
    """A parameter as given; the domain is None where none was given."""

    name: str
    domain: Domain | None


@dataclass(frozen=True, slots=True)
class StudyDraft:
    """What the core checks of a spec, every default filled in, nothing checked.

    Attributes:
        parameters: The parameters in order.
        constraints: The constraints as written.
        objectives: The objectives in order.
        search: Which search; None where none was given.
        limits: When it ends; its trial count is 0 for a grid and for brute force over all points.
        options: What the search wants to know.
        seed: Seed of all randomness.
        generation_size: Trials asked for together.
        starting_points: Points to try first, as given: searched parameters only, in any order.
        pruning: When trials are given up; None: never.
        trial_timeout_ms: Longest time of one trial; None: as long as it needs.
        walk_forward: How it walks forward; None: one search over all bars. Trial count, generation
            size and starting points are then those of each window.
        aggregation: How the outcomes over several datasets become one; None: there is one dataset.
    """

    parameters: tuple[ParameterDraft, ...]
    constraints: tuple[str, ...]
    objectives: tuple[Objective, ...]
    search: SearchKind | None
    limits: Limits
    options: SearchOptions
    seed: int
    generation_size: int
    starting_points: tuple[Point, ...] = ()
    pruning: PruningRule | None = None
    trial_timeout_ms: int | None = None
    walk_forward: WalkForward | None = None
    aggregation: DataAggregation | None = None


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """What a strategy, or the execution model, says about one of its parameters.

    Attributes:
        name: The parameter's name.
        kind: "int", "double" or "category".
        minimum: Smallest value allowed; None for words.
        maximum: Largest value allowed; None for words.
        categories: Allowed words; empty for numbers.
        required: Whether it has no default, so that a spec must give it.
    """

    name: str
    kind: str
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    required: bool = False
