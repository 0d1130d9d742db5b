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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker says of one point.

    Attributes:
        metrics: Defined metrics by name, whole numbers as floats.
        undefined: Undefined metrics by name with the number of their UndefinedReason.
        failure_reason: Why the point could not be run, as in SetFailure; empty when it ran.
        failure_message: The same for people.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, int] = field(default_factory=dict)
    failure_reason: str = ""
    failure_message: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One finished point of a study.

    Attributes:
        number: Place in the study, from 0.
        generation_number: Generation it was asked in, from 0.
        parameters: The point.
        state: How it ended.
        objective_values: In the order of the objectives; empty when failed.
        constraint_values: One per constraint on metrics, at most 0 where it holds; empty when
            failed or when a constraint's metric is undefined.
        feasible: Whether it is complete and every constraint on metrics holds.
        outcome: What the worker said.
        start_time_ms: When its generation was asked for, ms since the epoch.
        end_time_ms: When its generation was evaluated.
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
