"""From a worker's outcome to a trial: objectives, constraints, and what counts as failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.optimizer.core.spec.plan import StudyPlan
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
        end_time_ms: When it was evaluated; 0 where it is not yet.
    """

    number: int
    generation_number: int
    start_time_ms: int
    end_time_ms: int = 0


def judged(plan: StudyPlan, slot: Slot, point: Point, outcome: Outcome) -> Trial:
    """Return the trial of a point and its outcome.

    A trial whose objective is undefined has failed: nothing is put in its place.
    """
    values: tuple[float, ...] = ()
    constraint_values: tuple[float, ...] | None = None
    state = TrialState.PRUNED if outcome.pruned else TrialState.COMPLETE
    if not outcome.failure_reason and not outcome.pruned:
        known = [one.value(outcome.metrics) for one in plan.objectives]
        values = tuple(value for value in known if value is not None)
        if len(values) < len(known):
            outcome, values = _with_undefined_objective(plan, outcome, known), ()
    if outcome.failure_reason:
        state = TrialState.FAILED
    elif state is TrialState.COMPLETE:
        constraint_values = plan.constraints.values(point, outcome.metrics)
    return Trial(
        number=slot.number,
        generation_number=slot.generation_number,
        parameters=point,
        state=state,
        objective_values=values,
        constraint_values=constraint_values or (),
        feasible=constraint_values is not None and all(value <= 0 for value in constraint_values),
        outcome=outcome,
        start_time_ms=slot.start_time_ms,
        end_time_ms=slot.end_time_ms,
        window_number=plan.window_of(slot.number),
    )


def again(trial: Trial, slot: Slot) -> Trial:
    """Return the trial of a point that has been tried before, with the same outcome."""
    first = trial.number if trial.reused_trial_number is None else trial.reused_trial_number
    return replace(
        trial,
        number=slot.number,
        generation_number=slot.generation_number,
        outcome=replace(trial.outcome, evaluated_bar_count=0),
        start_time_ms=slot.start_time_ms,
        end_time_ms=slot.end_time_ms,
        reused_trial_number=first,
    )


def _with_undefined_objective(
    plan: StudyPlan, outcome: Outcome, known: Sequence[float | None]
) -> Outcome:
    """Return the outcome, marked as failed, with why some objectives have no value."""
    told = []
    for objective, value in zip(plan.objectives, known, strict=True):
        if value is None:
            why = outcome.undefined.get(objective.metric, 0)
            reason = REASONS.get(why, "no reason given")
            if objective.expression is not None:
                reason = "a metric in its expression is undefined, or a divisor is zero"
            told.append(f"{objective.metric} is undefined: {reason}")
    return replace(outcome, failure_reason=OBJECTIVE_UNDEFINED, failure_message="; ".join(told))
