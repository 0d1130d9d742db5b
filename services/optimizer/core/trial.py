"""Trials: points of a space with their outcomes. Knows no storage and no protobuf."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = int | float | str
"""A parameter's value: whole number, number or word; its Python type is its type."""

Point = Mapping[str, Value]
"""Every parameter of a spec, searched and fixed, with its value, in the order of the spec."""


class TrialState(enum.Enum):
    """How a trial ended; the value is that of `assay.optimizer.v1.Trial.State`."""

    COMPLETE = 1
    FAILED = 2
    PRUNED = 3


@dataclass(frozen=True, slots=True)
class IntermediateValue:
    """A trial's objective over the first bars of the window.

    Attributes:
        bar_count: Bars of the rung, from the window's first.
        value: The objective; None where it is undefined.
    """

    bar_count: int
    value: float | None


@dataclass(frozen=True, slots=True)
class DatasetResult:
    """What one dataset of several says of a point, judged as if it were the only one.

    Attributes:
        objective_values: In the order of the objectives; empty where it did not run or one is
            undefined.
        feasible: Whether every constraint on metrics holds on this dataset.
        metrics: Defined metrics by name, whole numbers as floats.
        undefined: Undefined metrics by name with the number of their UndefinedReason.
        failure_reason: Why there are no objective values; empty where there are.
        failure_message: The same for people.
    """

    objective_values: tuple[float, ...] = ()
    feasible: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, int] = field(default_factory=dict)
    failure_reason: str = ""
    failure_message: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What workers say of one point.

    Attributes:
        metrics: Defined metrics by name, whole numbers as floats.
        undefined: Undefined metrics by name with the number of their UndefinedReason.
        failure_reason: Why the point could not be run, as in SetFailure; empty when it ran.
        failure_message: The same for people.
        intermediate_values: The objective at each rung the point came to, in order; empty without
            pruning.
        pruned: Whether it was given up at the last of them; the metrics are then those of that
            rung.
        evaluated_bar_count: Bars run for it, over all rungs, datasets and the whole window.
        dataset_results: What each dataset says, in their order; empty where there is one. Metrics
            and failure are then those of all together.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, int] = field(default_factory=dict)
    failure_reason: str = ""
    failure_message: str = ""
    intermediate_values: tuple[IntermediateValue, ...] = ()
    pruned: bool = False
    evaluated_bar_count: int = 0
    dataset_results: tuple[DatasetResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One finished point of a study.

    Attributes:
        number: Place in the study, from 0.
        generation_number: Generation it was asked in, from 0.
        parameters: The point.
        state: How it ended.
        objective_values: In the order of the objectives; empty unless complete.
        constraint_values: One per constraint on metrics, at most 0 where it holds; empty when
            not complete or when a constraint's metric is undefined.
        feasible: Whether it is complete and every constraint on metrics holds.
        outcome: What the worker said.
        start_time_ms: When its generation was asked for, ms since the epoch.
        end_time_ms: When its generation was evaluated.
        reused_trial_number: The earlier trial with the same parameters whose outcome this is; None
            for one of its own. Its `evaluated_bar_count` is then 0.
        window_number: The window it ran in; None where the study has none.
    """

    number: int
    generation_number: int
    parameters: Point
    state: TrialState
    objective_values: tuple[float, ...]
    constraint_values: tuple[float, ...]
    feasible: bool
    outcome: Outcome
    start_time_ms: int
    end_time_ms: int
    reused_trial_number: int | None = None
    window_number: int | None = None
