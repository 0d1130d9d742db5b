"""From the outcomes of a point over several datasets to one trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from services.optimizer.core.spec.data_aggregation import (
    AggregationRule,
    DataAggregation,
    aggregated,
    constraint_values,
)
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.judge import OBJECTIVE_UNDEFINED, Slot, judged
from services.optimizer.core.trial import DatasetResult, Outcome, Point, Trial, TrialState

_Metrics: TypeAlias = tuple[dict[str, float], dict[str, int]]
"""Defined metrics, and the undefined ones with their reasons."""


def joined(plan: StudyPlan, point: Point, outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcomes of a point over the datasets of a plan, in their order, as one.

    It has failed where one of them has, or where an objective is undefined on one of them.
    """
    rule = _rule_of(plan)
    results = tuple(_result(plan, point, one) for one in outcomes)
    metrics, undefined = _metrics(plan, rule, results)
    reason, message = _failure(plan, rule, results)
    return Outcome(
        metrics=metrics,
        undefined=undefined,
        failure_reason=reason,
        failure_message=message,
        evaluated_bar_count=sum(one.evaluated_bar_count for one in outcomes),
        dataset_results=results,
    )


def judged_over_datasets(plan: StudyPlan, slot: Slot, point: Point, outcome: Outcome) -> Trial:
    """Return the trial of a point and its outcome over several datasets, made by `joined`."""
    failed = bool(outcome.failure_reason)
    values: tuple[float, ...] = ()
    limits: tuple[float, ...] | None = None
    if not failed:
        known = _objective_values(plan, _rule_of(plan), outcome.dataset_results)
        values = tuple(value for value in known if value is not None)
        limits = constraint_values(plan.constraints, point, outcome)
    return Trial(
        number=slot.number,
        generation_number=slot.generation_number,
        parameters=point,
        state=TrialState.FAILED if failed else TrialState.COMPLETE,
        objective_values=values,
        constraint_values=limits or (),
        feasible=limits is not None and all(value <= 0 for value in limits),
        outcome=outcome,
        start_time_ms=slot.start_time_ms,
        end_time_ms=slot.end_time_ms,
    )


def _rule_of(plan: StudyPlan) -> DataAggregation:
    if plan.aggregation is None:
        raise ValueError("a plan with one dataset has nothing to aggregate")
    return plan.aggregation


def _result(plan: StudyPlan, point: Point, outcome: Outcome) -> DatasetResult:
    trial = judged(plan, Slot(0, 0, 0), point, outcome)
    return DatasetResult(
        objective_values=trial.objective_values,
        feasible=trial.feasible,
        metrics=outcome.metrics,
        undefined=outcome.undefined,
        failure_reason=trial.outcome.failure_reason,
        failure_message=trial.outcome.failure_message,
    )


def _objective_values(
    plan: StudyPlan, rule: DataAggregation, results: Sequence[DatasetResult]
) -> list[float | None]:
    """Return each objective over datasets on all of which it has a value."""
    columns = zip(*(one.objective_values for one in results), strict=True)
    return [
        aggregated(rule.rule, column, maximize=objective.maximize)
        for objective, column in zip(plan.objectives, columns, strict=True)
    ]


def _failure(
    plan: StudyPlan, rule: DataAggregation, results: Sequence[DatasetResult]
) -> tuple[str, str]:
    """Return why a point has failed, in a word and for people; both empty where it has not."""
    failed = [
        (name, one) for name, one in zip(_names(rule), results, strict=True) if one.failure_reason
    ]
    if failed:
        # What is a worker's fault deserves another try, and must not look like the point's.
        reasons = [one.failure_reason for _, one in failed]
        others = [reason for reason in reasons if reason != OBJECTIVE_UNDEFINED]
        told = "; ".join(f"{name}: {one.failure_message}" for name, one in failed)
        return (others or reasons)[0], told
    known = zip(plan.objectives, _objective_values(plan, rule, results), strict=True)
    lost = [objective.metric for objective, value in known if value is None]
    if lost:
        return OBJECTIVE_UNDEFINED, f"{', '.join(lost)}: no number over all datasets"
    return "", ""


def _names(rule: DataAggregation) -> Iterator[str]:
    """Yield what the datasets are called in messages, with their place where one is there twice."""
    for place, name in enumerate(rule.datasets):
        twice = rule.datasets.count(name) > 1
        yield f"{name} (data[{place}])" if twice else name


def _metrics(plan: StudyPlan, rule: DataAggregation, results: Sequence[DatasetResult]) -> _Metrics:
    if any(not one.metrics and not one.undefined for one in results):
        return {}, {}
    if rule.rule is not AggregationRule.WORST:
        return _metric_by_metric(rule, results)
    if any(one.failure_reason for one in results):
        return {}, {}
    firsts = [one.objective_values[0] for one in results]
    worst = aggregated(rule.rule, firsts, maximize=plan.objectives[0].maximize)
    chosen = results[next(place for place, value in enumerate(firsts) if value == worst)]
    return dict(chosen.metrics), dict(chosen.undefined)


def _metric_by_metric(rule: DataAggregation, results: Sequence[DatasetResult]) -> _Metrics:
    metrics: dict[str, float] = {}
    for name in results[0].metrics:
        known = [one.metrics[name] for one in results if name in one.metrics]
        value = aggregated(rule.rule, known) if len(known) == len(results) else None
        if value is not None:
            metrics[name] = float(round(value)) if name in rule.whole_metrics else value
    undefined: dict[str, int] = {}
    told: list[Mapping[str, int]] = [one.undefined for one in results]
    for reasons in reversed(told):
        # The first dataset's word counts.
        undefined.update(reasons)
    return metrics, undefined
