"""A study as a caller describes it, before anybody has checked it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from services.optimizer.core.objectives import Objective
from services.optimizer.core.space import Domain


class SearchKind(enum.Enum):
    """The searches there are; the value is the field of `StudySpec.search`."""

    GRID = "grid"
    RANDOM = "random"
    BAYESIAN = "bayesian"


DEFAULT_STARTUP_TRIALS: Final = 10
DEFAULT_GENERATION_SIZE: Final = {
    SearchKind.GRID: 256,
    SearchKind.RANDOM: 256,
    SearchKind.BAYESIAN: 8,
}


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
        trial_count: Trials wanted; 0 for a grid.
        startup_trial_count: Trials drawn at random before the Bayesian estimator starts.
        seed: Seed of all randomness.
        generation_size: Trials asked for together.
    """

    parameters: tuple[ParameterDraft, ...]
    constraints: tuple[str, ...]
    objectives: tuple[Objective, ...]
    search: SearchKind | None
    trial_count: int
    startup_trial_count: int
    seed: int
    generation_size: int


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
