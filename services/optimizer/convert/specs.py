"""Study specs, as the core sees them."""

from __future__ import annotations

import functools
from dataclasses import replace

from assay.backtest.v1 import strategy_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.data_aggregation import aggregation_of
from services.optimizer.convert.durations import milliseconds_of
from services.optimizer.convert.limits import limits_of
from services.optimizer.convert.values import METRIC_NAMES, value_of
from services.optimizer.convert.walk_forward import walk_forward_of
from services.optimizer.core.spec.draft import (
    ParameterDraft,
    ParameterRule,
    PruningKind,
    PruningRule,
    SearchKind,
    SearchOptions,
    StudyDraft,
)
from services.optimizer.core.spec.draft_checks import MOST_PARAMETERS
from services.optimizer.core.spec.expression import Expression
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan, make_plan
from services.optimizer.core.spec.point_checks import GivenPoint
from services.optimizer.core.spec.search_checks import MOST_STARTING_POINTS
from services.optimizer.core.spec.space import Categories, Domain, DoubleRange, Fixed, IntRange

_KINDS = {
    strategy_pb2.ParameterInfo.TYPE_INT: "int",
    strategy_pb2.ParameterInfo.TYPE_DOUBLE: "double",
    strategy_pb2.ParameterInfo.TYPE_CATEGORY: "category",
}


def draft_of(spec: study_pb2.StudySpec) -> StudyDraft:
    """Return what the core checks of a spec whose defaults are filled in."""
    kind = _search_kind(spec)
    return StudyDraft(
        parameters=tuple(
            ParameterDraft(parameter.name, _domain_of(parameter)) for parameter in spec.parameters
        ),
        constraints=tuple(spec.constraints),
        objectives=tuple(map(_objective_of, spec.objectives)),
        search=kind,
        limits=limits_of(_trial_count_of(spec, kind), spec.stop_rule),
        options=_options_of(spec, kind),
        seed=spec.seed,
        generation_size=spec.generation_size if spec.HasField("generation_size") else 1,
        starting_points=tuple(
            {name: value for name, value in point if value is not None}
            for point in given_points(spec)
        ),
        pruning=_rule_of(spec.pruning) if spec.HasField("pruning") else None,
        trial_timeout_ms=(
            milliseconds_of(spec.trial_timeout) if spec.HasField("trial_timeout") else None
        ),
        walk_forward=(
            walk_forward_of(spec.walk_forward) if spec.HasField("walk_forward") else None
        ),
        aggregation=aggregation_of(spec),
    )


def given_points(spec: study_pb2.StudySpec) -> list[GivenPoint]:
    """Return the starting points as they were given, up to the limit of both."""
    return [
        [(one.name, value_of(one.value)) for one in point.parameters[: 2 * MOST_PARAMETERS]]
        for point in spec.starting_points[: MOST_STARTING_POINTS + 1]
    ]


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


def _search_kind(spec: study_pb2.StudySpec) -> SearchKind | None:
    field = spec.WhichOneof("search")
    return None if field is None else SearchKind(field)


def _trial_count_of(spec: study_pb2.StudySpec, kind: SearchKind | None) -> int:
    """Return the trials asked for; 0 where the space says how many."""
    if kind is None or kind is SearchKind.GRID:
        return 0
    count: int = getattr(spec, kind.value).trial_count
    return count


def _objective_of(message: study_pb2.Objective) -> Objective:
    return Objective(
        message.metric,
        message.direction != study_pb2.Objective.DIRECTION_MINIMIZE,
        Expression(message.expression) if message.expression else None,
    )


def _options_of(spec: study_pb2.StudySpec, kind: SearchKind | None) -> SearchOptions:
    if kind is SearchKind.BAYESIAN:
        learnt = spec.bayesian
        return SearchOptions(
            startup_trial_count=learnt.startup_trial_count,
            multivariate=learnt.multivariate,
            history_window=learnt.history_window,
        )
    if kind is SearchKind.CMA_ES:
        return SearchOptions(
            population_size=spec.cma_es.population_size,
            initial_sigma_ratio=spec.cma_es.initial_sigma_ratio,
        )
    if kind is SearchKind.EVOLUTIONARY:
        return SearchOptions(
            population_size=spec.evolutionary.population_size,
            nsga3=spec.evolutionary.algorithm == study_pb2.EvolutionarySearch.ALGORITHM_NSGA_III,
        )
    return SearchOptions()


def _rule_of(pruning: study_pb2.PruningSpec) -> PruningRule | None:
    field = pruning.WhichOneof("rule")
    if field is None:
        return None
    kind = PruningKind(field)
    common = PruningRule(
        kind,
        startup_trial_count=pruning.startup_trial_count,
        rung_bar_counts=tuple(pruning.rung_bar_counts),
    )
    if kind is PruningKind.MEDIAN:
        return replace(common, segment_count=pruning.median.segment_count)
    if kind is PruningKind.PERCENTILE:
        return replace(
            common,
            segment_count=pruning.percentile.segment_count,
            kept_percent=pruning.percentile.kept_percent,
        )
    return replace(
        common,
        reduction_factor=pruning.successive_halving.reduction_factor,
        rung_count=pruning.successive_halving.rung_count,
    )


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
