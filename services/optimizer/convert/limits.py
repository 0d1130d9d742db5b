"""The limits of a study, as messages and as the core sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assay.optimizer.v1 import optimizer_service_pb2, study_pb2

from services.common.errors import Violation, refuse
from services.optimizer.convert.durations import (
    duration_of,
    duration_violations,
    milliseconds_of,
)
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.search_checks import stop_rule_violations
from services.optimizer.core.study.limits import Limits


def limits_of(trial_count: int, rule: study_pb2.StopRule) -> Limits:
    """Return limits with a stop rule; an unset one is one without fields."""
    return Limits(
        trial_count=trial_count,
        max_duration_ms=(
            milliseconds_of(rule.max_duration) if rule.HasField("max_duration") else None
        ),
        patience_trial_count=(
            rule.patience_trial_count if rule.HasField("patience_trial_count") else None
        ),
        target_value=rule.target_value if rule.HasField("target_value") else None,
    )


def limits_message(limits: Limits) -> study_pb2.StudyLimits:
    """Return limits as a message."""
    rule = study_pb2.StopRule(
        patience_trial_count=limits.patience_trial_count, target_value=limits.target_value
    )
    if limits.max_duration_ms is not None:
        rule.max_duration.CopyFrom(duration_of(limits.max_duration_ms))
    message = study_pb2.StudyLimits(trial_count=limits.trial_count)
    if rule.ListFields():
        message.stop_rule.CopyFrom(rule)
    return message


def stop_rule_shape_violations(path: str, rule: study_pb2.StopRule) -> Iterator[Violation]:
    """Yield where a stop rule holds what is no duration."""
    if rule.HasField("max_duration"):
        yield from duration_violations(f"{path}.max_duration", rule.max_duration)


def updated_limits(
    request: optimizer_service_pb2.UpdateStudyLimitsRequest,
    plan: StudyPlan,
    limits: Limits,
    finished: int,
    most: int,
) -> Limits:
    """Return the limits a request asks for.

    Args:
        request: The request; what is unset in it stays as it is.
        plan: The study's plan.
        limits: Its limits of now.
        finished: Trials it has.
        most: Trials it can have at most.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    violations: list[Violation] = []
    wanted = limits
    if request.HasField("stop_rule"):
        wanted = limits_of(limits.trial_count, request.stop_rule)
        violations += stop_rule_shape_violations("stop_rule", request.stop_rule)
        if not violations:
            violations += stop_rule_violations(wanted, len(plan.objectives))
        if plan.walk_forward is not None and wanted.target_value is not None:
            violations.append(Violation("stop_rule.target_value", "is not for a walk forward"))
    if request.HasField("trial_count"):
        wanted = replace(wanted, trial_count=request.trial_count)
        least = max(finished, 1)
        if plan.walk_forward is not None:
            told = "cannot be changed: a walk forward has what it has"
            violations.append(Violation("trial_count", told))
        elif plan.search is SearchKind.GRID:
            violations.append(Violation("trial_count", "cannot be changed: a grid has what it has"))
        elif not least <= request.trial_count <= most:
            told = f"must be {least:,} to {max(most, least):,}, but is {request.trial_count}"
            violations.append(Violation("trial_count", told))
    refuse(violations)
    return wanted
