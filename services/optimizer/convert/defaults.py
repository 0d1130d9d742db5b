"""The defaults of study specs, written out, and what is pinned once workers have answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf.message import Message

from services.common.errors import Violation, refuse
from services.optimizer.convert.data_aggregation import pin_series
from services.optimizer.convert.walk_forward import fill_walk_forward
from services.optimizer.core.spec.draft import (
    DEFAULT_GENERATION_SIZE,
    PruningKind,
    PruningRule,
    SearchKind,
    SearchOptions,
)
from services.optimizer.core.spec.draft_checks import MOST_PARAMETERS
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.pruning_rungs import rung_bar_counts
from services.optimizer.core.spec.search_checks import POPULATION_SEARCHES

DEFAULT_PRIOR_TRIALS: Final = 1_000
"""Most trials taken from each earlier study."""

SMALLEST_DEFAULT_POPULATION: Final = 6

_OPTIONS: Final = SearchOptions()


def with_defaults(spec: study_pb2.StudySpec, seed: int) -> study_pb2.StudySpec:
    """Return a copy with every default written out; `seed` is taken where none is given.

    The defaults of the execution model are the workers' to fill in, and rungs need the bars of the
    window; see `pin`.
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
    _fill(filled, "seed", seed)
    field = filled.WhichOneof("search")
    if field is not None:
        _fill_search(filled, SearchKind(field))
    if filled.HasField("warm_start"):
        _fill(filled.warm_start, "trial_limit", DEFAULT_PRIOR_TRIALS)
    if filled.HasField("pruning"):
        _fill_pruning(filled.pruning)
    if filled.HasField("walk_forward"):
        fill_walk_forward(filled.walk_forward)
    return filled


def pin(
    spec: study_pb2.StudySpec, responses: Sequence[backtest_service_pb2.RunBacktestBatchResponse]
) -> None:
    """Write into a spec what workers resolved: candles and series with their digests, defaults.

    Args:
        spec: The spec.
        responses: What they said of each of its data.
    """
    for snapshot, response in zip(spec.data, responses, strict=True):
        snapshot.CopyFrom(response.snapshot)
    if responses[0].HasField("execution"):
        spec.execution.CopyFrom(responses[0].execution)
    if len(responses) > 1:
        pin_series(spec, [response.execution for response in responses])


def pin_counts(spec: study_pb2.StudySpec, plan: StudyPlan, bar_count: int) -> None:
    """Write into a checked spec the trials of a brute force, and the rungs of pruning.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID, a rung lies beyond the window.
    """
    if plan.search is SearchKind.BRUTE_FORCE:
        spec.brute_force.trial_count = plan.trial_count // plan.window_count
    if plan.pruning is None:
        return
    rungs = rung_bar_counts(plan.pruning, bar_count)
    refuse(
        Violation(
            f"spec.pruning.rung_bar_counts[{index}]",
            f"must be below the window's {bar_count:,} bars, but is {rung}",
        )
        for index, rung in enumerate(rungs)
        if rung >= bar_count
    )
    spec.pruning.rung_bar_counts[:] = rungs


def _fill_search(spec: study_pb2.StudySpec, kind: SearchKind) -> None:
    if kind is SearchKind.BAYESIAN:
        _fill(spec.bayesian, "startup_trial_count", _OPTIONS.startup_trial_count)
        _fill(spec.bayesian, "multivariate", len(spec.objectives) <= 1)
        _fill(spec.bayesian, "history_window", _OPTIONS.history_window)
    elif kind is SearchKind.CMA_ES:
        _fill(spec.cma_es, "population_size", _cma_es_population(spec))
        _fill(spec.cma_es, "initial_sigma_ratio", _OPTIONS.initial_sigma_ratio)
    elif kind is SearchKind.EVOLUTIONARY:
        _fill(spec.evolutionary, "population_size", _OPTIONS.population_size)
        if not spec.evolutionary.algorithm:
            spec.evolutionary.algorithm = study_pb2.EvolutionarySearch.ALGORITHM_NSGA_II
    if kind in POPULATION_SEARCHES:
        _fill(spec, "generation_size", getattr(spec, kind.value).population_size)
    else:
        _fill(spec, "generation_size", DEFAULT_GENERATION_SIZE[kind])


def _cma_es_population(spec: study_pb2.StudySpec) -> int:
    """Return 4 + floor(3 ln n), at least 6, for n numbers with more than one value."""
    ranges = [
        getattr(one, field)
        for one in spec.parameters[:MOST_PARAMETERS]
        if (field := one.WhichOneof("domain")) in {"int_range", "double_range"}
    ]
    adapted = sum(one.low < one.high for one in ranges)
    # Three logarithms of a whole number up to 32 lie far from whole numbers: no rounding matters.
    usual = 4 + math.floor(3 * math.log(max(adapted, 1)))
    return max(usual, SMALLEST_DEFAULT_POPULATION)


def _fill_pruning(pruning: study_pb2.PruningSpec) -> None:
    usual = PruningRule(PruningKind.MEDIAN)
    _fill(pruning, "startup_trial_count", usual.startup_trial_count)
    kind = pruning.WhichOneof("rule")
    if kind == "median":
        _fill(pruning.median, "segment_count", usual.segment_count)
    elif kind == "percentile":
        _fill(pruning.percentile, "segment_count", usual.segment_count)
    elif kind == "successive_halving":
        _fill(pruning.successive_halving, "reduction_factor", usual.reduction_factor)
        _fill(pruning.successive_halving, "rung_count", usual.rung_count)


def _fill(message: Message, field: str, value: float) -> None:
    if not message.HasField(field):
        setattr(message, field, value)
