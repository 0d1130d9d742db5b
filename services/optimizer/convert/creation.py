"""From a request for a study to a checked plan, and from a plan to the record that is stored."""

from __future__ import annotations

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
from assay.optimizer.v1 import optimizer_service_pb2, study_pb2

from services.common.errors import AssayError, Code, Violation, refuse, unknown
from services.optimizer.convert.requests import (
    request_digest,
    request_id_violations,
    study_id_violations,
)
from services.optimizer.convert.spec_checks import spec_violations
from services.optimizer.convert.specs import draft_of, plan_of, rule_of, rules_of_definition
from services.optimizer.convert.values import METRIC_NAMES
from services.optimizer.core.draft import ParameterRule
from services.optimizer.core.draft_checks import draft_violations
from services.optimizer.core.plan import StudyPlan, check_reachable
from services.optimizer.core.ports import StudyRecord

Catalog = backtest_service_pb2.ListStrategiesResponse


def check_request(
    request: optimizer_service_pb2.CreateStudyRequest,
    filled: study_pb2.StudySpec,
    catalog: Catalog,
    trial_limit: int,
) -> None:
    """Refuse a request with everything that is wrong with it.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID; NOT_FOUND/STRATEGY_UNKNOWN, in the backtest
            service's name, when only that is wrong. What is wrong with a definition's texts and
            with the execution model is the workers' to tell.
    """
    rules = _rules(catalog, filled.strategy)
    violations = [
        *id_violations(request),
        *spec_violations(filled),
        *draft_violations(draft_of(filled), METRIC_NAMES, rules, trial_limit),
    ]
    if rules is None and not any(one.field.startswith("spec.strategy") for one in violations):
        unknown = _strategy_unknown(catalog, filled.strategy.name)
        if not violations:
            raise unknown
        violations.append(Violation("spec.strategy.name", unknown.message))
    refuse(violations)


def id_violations(request: optimizer_service_pb2.CreateStudyRequest) -> list[Violation]:
    """Return what is wrong with the ids a caller chose."""
    return [
        *study_id_violations(request.study_id),
        *request_id_violations(request.request_id),
    ]


def reachable_plan(filled: study_pb2.StudySpec, trial_limit: int) -> StudyPlan:
    """Return the plan of a checked spec; may take seconds for a large grid with constraints.

    Raises:
        AssayError: INVALID_ARGUMENT/GRID_TOO_LARGE or INVALID_ARGUMENT/SPACE_INFEASIBLE.
    """
    plan = plan_of(filled)
    check_reachable(plan, trial_limit)
    return plan


def check_repetition(
    request: optimizer_service_pb2.CreateStudyRequest, record: StudyRecord
) -> None:
    """Refuse a request id that made another study, or the same with another spec.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    if record.request_digest != request_digest(request):
        refuse(
            [
                Violation(
                    "request_id",
                    f"was used for study {record.study_id!r}, with another id or spec",
                )
            ]
        )


def study_exists(study_id: str) -> AssayError:
    """Return ALREADY_EXISTS/STUDY_EXISTS."""
    return AssayError(
        Code.ALREADY_EXISTS,
        "STUDY_EXISTS",
        f"study {study_id!r} exists already",
        metadata={"study": study_id},
    )


def _rules(
    catalog: Catalog, strategy: strategy_pb2.StrategyChoice
) -> dict[str, ParameterRule | None] | None:
    """Return the rules of everything that may be searched; None for an unknown strategy."""
    found = next((one for one in catalog.strategies if one.name == strategy.name), None)
    rules: dict[str, ParameterRule | None]
    if strategy.HasField("definition"):
        rules = rules_of_definition(strategy.definition)
    elif found is not None:
        rules = {
            info.name: rule_of(info, required=not info.HasField("default_value"))
            for info in found.parameters
        }
    else:
        return None
    # Without a default the feature of an execution parameter is simply off.
    return rules | {
        info.name: rule_of(info, required=False) for info in catalog.execution_parameters
    }


def _strategy_unknown(catalog: Catalog, name: str) -> AssayError:
    known = [one.name.removeprefix("strategies/") for one in catalog.strategies]
    wanted = name.removeprefix("strategies/")
    error = unknown("strategy", wanted, known, "STRATEGY_UNKNOWN")
    error.domain = "backtest.assay"
    return error
