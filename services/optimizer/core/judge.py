"""From a worker's outcome to a trial: objectives, constraints, and what counts as failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState

OBJECTIVE_UNDEFINED: Final = "OBJECTIVE_UNDEFINED"

REASONS: Final[Mapping[int, str]] = {
    1: "too few observations",
    2: "no variance",
    3: "no trades",
    4: "no losses",
    5: "no drawdown",
    6: "the account was ruined",
    7: "the set could not be run",
    8: "no trade won",
}
"""The numbers of `assay.backtest.v1.UndefinedReason` in words."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a point stands in its study.

    Attributes:
        number: The trial's number.
        generation_number: Its generation.
        start_time_ms: When the generation was asked for.
        end_time_ms: When it was evaluated.
    """

    number: int
    generation_number: int
    start_time_ms: int
    end_time_ms: int


def judged(plan: StudyPlan, slot: Slot, point: Point, outcome: Outcome) -> Trial:
    """Return the trial of a point and its outcome.

    A trial whose objective is undefined has failed: nothing is put in its place.
    """
    if not outcome.failure_reason:
        outcome = _with_undefined_objective(plan, outcome)
    complete = not outcome.failure_reason
    values: tuple[float, ...] = ()
    constraint_values: tuple[float, ...] | None = None
    if complete:
        values = tuple(outcome.metrics[one.metric] for one in plan.objectives)
        constraint_values = plan.constraints.values(point, outcome.metrics)
    return Trial(
        number=slot.number,
        generation_number=slot.generation_number,
        parameters=point,
        state=TrialState.COMPLETE if complete else TrialState.FAILED,
        objective_values=values,
        constraint_values=constraint_values or (),
        feasible=constraint_values is not None and all(value <= 0 for value in constraint_values),
        outcome=outcome,
        start_time_ms=slot.start_time_ms,
        end_time_ms=slot.end_time_ms,
    )


def _with_undefined_objective(plan: StudyPlan, outcome: Outcome) -> Outcome:
    """Return the outcome, marked as failed when an objective has no value."""
    missing = [one.metric for one in plan.objectives if one.metric not in outcome.metrics]
    if not missing:
        return outcome
    told = [
        f"{metric} is undefined: {REASONS.get(outcome.undefined.get(metric, 0), 'no reason given')}"
        for metric in missing
    ]
    return replace(outcome, failure_reason=OBJECTIVE_UNDEFINED, failure_message="; ".join(told))
