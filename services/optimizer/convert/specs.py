"""Study specs: their defaults, and what the core sees of them."""

from __future__ import annotations

import functools

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
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
from services.optimizer.core.draft_checks import MOST_PARAMETERS
from services.optimizer.core.objectives import Objective
from services.optimizer.core.plan import StudyPlan, make_plan
from services.optimizer.core.space import Categories, Domain, DoubleRange, Fixed, IntRange

_KINDS = {
    strategy_pb2.ParameterInfo.TYPE_INT: "int",
    strategy_pb2.ParameterInfo.TYPE_DOUBLE: "double",
    strategy_pb2.ParameterInfo.TYPE_CATEGORY: "category",
}


def with_defaults(spec: study_pb2.StudySpec, seed: int) -> study_pb2.StudySpec:
    """Return a copy with every default written out; `seed` is taken where none is given.

    The defaults of the execution model are the workers' to fill in; see `pin`.
    """
    filled = study_pb2.StudySpec()
    filled.CopyFrom(spec)
    if not filled.strategy.direction:
        filled.strategy.direction = strategy_pb2.DIRECTION_LONG
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


def rule_of(
    info: strategy_pb2.ParameterInfo | strategy_pb2.ParameterDefinition, *, required: bool
) -> ParameterRule:
    """Return what the core knows of a parameter that a worker or a definition describes."""
    return ParameterRule(
        name=info.name,
        kind=_KINDS[info.type],
        minimum=info.minimum if info.HasField("minimum") else None,
        maximum=info.maximum if info.HasField("maximum") else None,
        categories=tuple(info.categories),
        required=required,
    )


def rules_of_definition(
    definition: strategy_pb2.StrategyDefinition,
) -> dict[str, ParameterRule | None]:
    """Return the rules of a definition's own parameters; None for one that states no type."""
    return {
        one.name: rule_of(one, required=not one.HasField("default_value"))
        if one.type in _KINDS
        else None
        for one in definition.parameters[:MOST_PARAMETERS]
    }


def pin(spec: study_pb2.StudySpec, response: backtest_service_pb2.RunBacktestBatchResponse) -> None:
    """Write into a spec what a worker resolved: candles and series with their digests, defaults."""
    spec.data[0].CopyFrom(response.snapshot)
    if response.HasField("execution"):
        spec.execution.CopyFrom(response.execution)


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
