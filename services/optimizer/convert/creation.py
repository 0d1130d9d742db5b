"""From a request for a study to a checked plan, and from a plan to the record that is stored."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
from assay.optimizer.v1 import optimizer_service_pb2, study_pb2

from services.common.errors import AssayError, Code, Violation, refuse, unknown
from services.optimizer.convert.requests import (
    name_violations,
    request_digest,
    request_id_violations,
    study_id_violations,
)
from services.optimizer.convert.spec_checks import spec_violations
from services.optimizer.convert.specs import (
    draft_of,
    given_points,
    plan_of,
    rule_of,
    rules_of_definition,
)
from services.optimizer.convert.values import METRIC_NAMES
from services.optimizer.core.records import LedgerKey, StudyRecord
from services.optimizer.core.spec.draft import ParameterRule, SearchKind
from services.optimizer.core.spec.draft_checks import draft_violations
from services.optimizer.core.spec.plan import StudyPlan, check_reachable
from services.optimizer.core.spec.point_checks import point_violations

Catalog = backtest_service_pb2.ListStrategiesResponse


def check_request(
    request: optimizer_service_pb2.CreateStudyRequest,
    filled: study_pb2.StudySpec,
    catalog: Catalog,
    trial_limit: int,
    more: Iterable[Violation] = (),
) -> None:
    """Refuse a request with everything that is wrong with it.

    Args:
        request: The request.
        filled: Its spec with every default written out.
        catalog: What can be searched.
        trial_limit: Most trials of a study.
        more: What else is known to be wrong.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID; NOT_FOUND/STRATEGY_UNKNOWN, in the backtest
            service's name, when only that is wrong. What is wrong with a definition's texts and
            with the execution model is the workers' to tell.
    """
    rules = _rules(catalog, filled.strategy)
    draft = draft_of(filled)
    violations = [
        *id_violations(request),
        *spec_violations(filled),
        *draft_violations(draft, METRIC_NAMES, rules, trial_limit),
        *point_violations(draft, given_points(filled)),
        *more,
    ]
    if rules is None and not any(one.field.startswith("spec.strategy") for one in violations):
        unknown = _strategy_unknown(catalog, filled.strategy.name)
        if not violations:
            raise unknown
        violations.append(Violation("spec.strategy.name", unknown.message))
    refuse(violations)


def id_violations(request: optimizer_service_pb2.CreateStudyRequest) -> list[Violation]:
    """Return what is wrong with the ids a caller chose, and with the study to run again."""
    violations = [
        *study_id_violations(request.study_id),
        *request_id_violations(request.request_id),
    ]
    if request.rerun_of:
        violations += name_violations("rerun_of", request.rerun_of)
        if request.HasField("spec"):
            told = "is given beside spec; only one of them can be"
            violations.append(Violation("rerun_of", told))
    return violations


def reachable_plan(filled: study_pb2.StudySpec, trial_limit: int) -> StudyPlan:
    """Return the plan of a checked spec; may take seconds for a large grid with constraints.

    Raises:
        AssayError: INVALID_ARGUMENT/GRID_TOO_LARGE, INVALID_ARGUMENT/SPACE_INFEASIBLE, or
            INVALID_ARGUMENT/FIELD_INVALID for a brute force with more trials than points.
    """
    plan = plan_of(filled)
    if plan.search is not SearchKind.BRUTE_FORCE:
        check_reachable(plan, trial_limit)
        return plan
    whole = plan_of_all_points(filled.SerializeToString(deterministic=True))
    check_reachable(whole, trial_limit)
    if plan.trial_count > whole.trial_count:
        told = f"must be 1 to {whole.trial_count:,}, the points there are"
        refuse([Violation("spec.brute_force.trial_count", f"{told}, but is {plan.trial_count}")])
    return plan


@functools.lru_cache(maxsize=16)
def plan_of_all_points(spec: bytes) -> StudyPlan:
    """Return the plan of a brute force over all points, however many its spec asks for."""
    message = study_pb2.StudySpec.FromString(spec)
    message.brute_force.ClearField("trial_count")
    return plan_of(message)


def ledger_key_of(spec: study_pb2.StudySpec) -> LedgerKey:
    """Return what the trials of a study are counted under."""
    strategy = spec.strategy.name
    if spec.strategy.HasField("definition"):
        text = spec.strategy.definition.SerializeToString(deterministic=True)
        strategy = f"definitions/{hashlib.sha256(text).hexdigest()}"
    return LedgerKey(spec.data[0].dataset, strategy)


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
