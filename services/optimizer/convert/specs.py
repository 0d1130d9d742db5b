"""Study specs: their defaults, and what the core sees of them."""

from __future__ import annotations

import functools

from assay.backtest.v1 import execution_pb2, strategy_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.values import METRIC_NAMES, value_of
from services.optimizer.core.draft import (
    DEFAULT_GENERATION_SIZE,
    DEFAULT_STARTUP_TRIALS,
    ParameterDraft,
    ParameterRule,
    SearchKind,
    StudyDraft,
)
from services.optimizer.core.objectives import Objective
from services.optimizer.core.plan import StudyPlan, make_plan
from services.optimizer.core.space import Categories, Domain, DoubleRange, Fixed, IntRange

_KINDS = {
    strategy_pb2.ParameterInfo.TYPE_INT: "int",
    strategy_pb2.ParameterInfo.TYPE_DOUBLE: "double",
    strategy_pb2.ParameterInfo.TYPE_CATEGORY: "category",
}

_EXECUTION_DEFAULTS = {
    "initial_capital_quote": 10_000.0,
    "taker_fee_bps": 5.5,
    "slippage_bps": 0.0,
    "position_fraction_ratio": 1.0,
}
"""What ExecutionModel's comments say of unset numbers; the others switch something off."""


def with_defaults(spec: study_pb2.StudySpec, seed: int) -> study_pb2.StudySpec:
    """Return a copy with every default written out; `seed` is taken where none is given."""
    filled = study_pb2.StudySpec()
    filled.CopyFrom(spec)
    if not filled.strategy.direction:
        filled.strategy.direction = strategy_pb2.DIRECTION_LONG
    _fill_execution(filled.execution)
    for parameter in filled.parameters:
        steps = parameter.int_range
        if parameter.HasField("int_range") and not steps.log and not steps.HasField("step"):
            steps.step = 1
    for objective in filled.objectives:
        if not objective.direction:
            objective.direction = study_pb2.Objective.DIRECTION_MAXIMIZE
    if filled.HasField("bayesian") and not filled.bayesian.HasField("startup_trial_count"):
        filled.bayesian.startup_trial_count = DEFAULT_STARTUP_TRIALS
    if not filled.HasField("seed"):
        filled.seed = seed
    kind = _search_kind(filled)
    if kind is not None and not filled.HasField("generation_size"):
        filled.generation_size = DEFAULT_GENERATION_SIZE[kind]
    return filled


def draft_of(spec: study_pb2.StudySpec) -> StudyDraft:
    """Return what the core checks of a spec whose defaults are filled in."""
    kind = _search_kind(spec)
    counts = {
        SearchKind.RANDOM: spec.random.trial_count,
        SearchKind.BAYESIAN: spec.bayesian.trial_count,
    }
    return StudyDraft(
        parameters=tuple(
            ParameterDraft(parameter.name, _domain_of(parameter)) for parameter in spec.parameters
        ),
        constraints=tuple(spec.constraints),
        objectives=tuple(
            Objective(one.metric, one.direction != study_pb2.Objective.DIRECTION_MINIMIZE)
            for one in spec.objectives
        ),
        search=kind,
        trial_count=counts.get(kind, 0) if kind else 0,
        startup_trial_count=spec.bayesian.startup_trial_count,
        seed=spec.seed,
        generation_size=spec.generation_size if spec.HasField("generation_size") else 1,
    )


def plan_of(spec: study_pb2.StudySpec) -> StudyPlan:
    """Return the plan of a checked spec whose defaults are filled in; counts a grid's points."""
    return make_plan(draft_of(spec), METRIC_NAMES)


@functools.lru_cache(maxsize=64)
def stored_plan(spec: bytes) -> StudyPlan:
    """Return the plan of a stored study's spec; counting a large grid twice would be a waste."""
    return plan_of(study_pb2.StudySpec.FromString(spec))


def rule_of(info: strategy_pb2.ParameterInfo, *, required: bool) -> ParameterRule:
    """Return what the core knows of a parameter a worker describes."""
    return ParameterRule(
        name=info.name,
        kind=_KINDS[info.type],
        minimum=info.minimum if info.HasField("minimum") else None,
        maximum=info.maximum if info.HasField("maximum") else None,
        categories=tuple(info.categories),
        required=required,
    )


def _fill_execution(model: execution_pb2.ExecutionModel) -> None:
    given = {field.name for field, _ in model.ListFields()}
    for name, value in _EXECUTION_DEFAULTS.items():
        if name not in given:
            setattr(model, name, value)
    if not model.intrabar_policy:
        model.intrabar_policy = execution_pb2.ExecutionModel.INTRABAR_POLICY_STOP_FIRST
    if not model.target_fill:
        model.target_fill = execution_pb2.ExecutionModel.TARGET_FILL_LIMIT


def _search_kind(spec: study_pb2.StudySpec) -> SearchKind | None:
    field = spec.WhichOneof("search")
    return None if field is None else SearchKind(field)


def _domain_of(parameter: study_pb2.ParameterSpec) -> Domain | None:
    kind = parameter.WhichOneof("domain")
    if kind == "int_range":
        whole = parameter.int_range
        return IntRange(
            whole.low, whole.high, whole.step if whole.HasField("step") else None, whole.log
        )
    if kind == "double_range":
        real = parameter.double_range
        return DoubleRange(
            real.low, real.high, real.step if real.HasField("step") else None, real.log
        )
    if kind == "categories":
        return Categories(tuple(parameter.categories.values))
    if kind == "fixed_value":
        value = value_of(parameter.fixed_value)
        return None if value is None else Fixed(value)
    return None
