"""Trials of earlier studies, as a new study learns them before its first generation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.fronts import best_numbers, costs_of
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.data_aggregation import constraint_values
from services.optimizer.core.spec.draft import StudyDraft
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.point_checks import is_inside
from services.optimizer.core.spec.space import Fixed
from services.optimizer.core.trial import Outcome, Trial, TrialState


def misfits(draft: StudyDraft, earlier: StudyPlan) -> Iterator[str]:
    """Yield why trials of an earlier study mean nothing to a new one."""
    kinds = {one.name: type(one.domain) for one in earlier.space.searched}
    for parameter in draft.parameters:
        if parameter.domain is None or isinstance(parameter.domain, Fixed):
            continue
        kind = kinds.get(parameter.name)
        if kind is None:
            yield f"does not search {parameter.name!r}"
        elif kind is not type(parameter.domain):
            yield f"searches {parameter.name!r} with another type"
    if draft.objectives != earlier.objectives:
        yield "has other objectives"
    ours, theirs = draft.aggregation, earlier.aggregation
    if ours and theirs and ours.rule is not theirs.rule:
        yield "aggregates its data by another rule"
    if earlier.walk_forward is not None:
        yield "walks forward: its trials are of several windows"


def numbers_to_learn(table: TrialTable, objectives: Sequence[Objective]) -> npt.NDArray[np.int64]:
    """Return the numbers of the complete trials, those to be taken first in front.

    For one objective the feasible ones by falling merit, then the infeasible ones by falling merit,
    lower numbers first among equals; for several the Pareto front, then all others, both by rising
    number.
    """
    complete = np.flatnonzero(table.states == TrialState.COMPLETE.value)
    first = best_numbers(table, objectives)
    rest = complete[~np.isin(table.numbers[complete], first)]
    if len(objectives) == 1:
        costs = costs_of(table.objective_values[rest], objectives)
        rest = rest[np.argsort(costs[:, 0], kind="stable")]
    return np.concatenate([first, table.numbers[rest]])


def prior_of(trial: Trial, plan: StudyPlan, number: int) -> Trial | None:
    """Return a complete trial of an earlier study as a new one learns it, under another number.

    Its point has the parameters of the new study; None where one of them lies outside its domain.
    Whether it is feasible is judged by the constraints of the new study.
    """
    given = {**plan.space.fixed, **trial.parameters}
    for parameter in plan.space.parameters:
        if not is_inside(given[parameter.name], parameter.domain):
            return None
    point = {one.name: given[one.name] for one in plan.space.parameters}
    values = constraint_values(plan.constraints, point, trial.outcome)
    return replace(
        trial,
        number=number,
        generation_number=0,
        parameters=point,
        constraint_values=values or (),
        feasible=values is not None and all(value <= 0 for value in values),
        # Nobody asks for the metrics of a hundred thousand of them.
        outcome=Outcome(),
        reused_trial_number=None,
    )
