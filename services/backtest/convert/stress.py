"""Stress tests: requests checked as a whole, what was found as messages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from assay.backtest.v1 import backtest_service_pb2, metrics_pb2, stress_pb2

from services.backtest.convert.answers import metric_column, metrics_message
from services.backtest.convert.jobs import RunJob, read_metrics, run_job
from services.backtest.convert.loaded_frame import LoadedFrame
from services.backtest.core.stress.subject import Measured, Subject
from services.backtest.core.stress.testing import (
    Drops,
    Gap,
    Noise,
    Outcome,
    Permutation,
    StressPlan,
    StressResult,
)
from services.common.distribution_codec import distribution_message
from services.common.errors import AssayError, Violation, fields_invalid, refuse

MOST_FACTORS: Final = 16
LARGEST_FACTOR: Final = 10.0

_LIMITS: Final = {
    "delay_bars": 1_000,
    "noise_ratio": 0.5,
    "noise_count": 200,
    "drop_probability": 1.0,
    "drop_count": 10_000,
    "entry_permutation_count": 10_000,
}
"""Largest values of the fields of `StressParts`; the smallest are 0."""


@dataclass(frozen=True, slots=True)
class StressJob:
    """A stress test, checked.

    Attributes:
        run: The run without stress.
        plan: What is done to it.
    """

    run: RunJob
    plan: StressPlan

    @property
    def subject(self) -> Subject:
        """The parameter set put under stress."""
        run = self.run
        return Subject(run.strategy, run.direction, run.values, run.execution)


def stress_job(request: stress_pb2.RunStressTestRequest) -> StressJob:
    """Check a request for a stress test.

    Raises:
        AssayError: as `run_job`.
    """
    found: list[Violation] = []
    plan = _plan(request, found)
    base = backtest_service_pb2.RunBacktestRequest(
        snapshot=request.snapshot,
        strategy=request.strategy,
        parameters=request.parameters,
        execution=request.execution,
    )
    try:
        run = run_job(base)
    except AssayError as error:
        if not found:
            raise
        others = error.violations or (Violation("strategy.name", error.message),)
        raise fields_invalid([*others, *found]) from error
    refuse(found)
    return StressJob(run, plan)


def _plan(request: stress_pb2.RunStressTestRequest, found: list[Violation]) -> StressPlan:
    parts = request.parts
    given: dict[str, Any] = {}
    for name, most in _LIMITS.items():
        if parts.HasField(name):  # type: ignore[arg-type]  # the names are those of the message
            given[name] = getattr(parts, name)
            if not 0 <= given[name] <= most:
                found.append(Violation(f"parts.{name}", f"must be from 0 to {most:,}"))
    if parts.cost_factors:
        given["cost_factors"] = tuple(parts.cost_factors)
    if len(parts.cost_factors) > MOST_FACTORS:
        told = f"holds {len(parts.cost_factors):,} factors; at most {MOST_FACTORS}"
        found.append(Violation("parts.cost_factors", told))
    for number, factor in enumerate(parts.cost_factors[:MOST_FACTORS]):
        if not (math.isfinite(factor) and 0.0 <= factor <= LARGEST_FACTOR):
            told = f"must be from 0 to {LARGEST_FACTOR:g}"
            found.append(Violation(f"parts.cost_factors[{number}]", told))
    if request.seed < 0:
        found.append(Violation("seed", "must be 0 or more"))
    metrics = read_metrics(request.metrics, found) if request.metrics else ()
    return StressPlan(**given, seed=request.seed, metrics=metrics)


def stress_response(
    job: StressJob, loaded: LoadedFrame, result: StressResult
) -> stress_pb2.RunStressTestResponse:
    """Return what a stress test found."""
    plan, count = job.plan, result.trade_count
    response = stress_pb2.RunStressTestResponse(
        base=_metrics(result.base),
        costs=[
            stress_pb2.CostStress(
                factor=factor, metrics=_metrics(outcome.run), undefined_reason=_gap(outcome.gap)
            )
            for factor, outcome in zip(plan.cost_factors, result.costs, strict=True)
        ],
        snapshot=loaded.snapshot.to_proto(),
        bar_count=loaded.frame.bar_count,
    )
    if result.delay is not None:
        response.delay.CopyFrom(_delay(plan, result.delay))
    if result.noise is not None:
        response.noise.CopyFrom(_noise(plan, result.noise))
    if result.drops is not None:
        response.drops.CopyFrom(_drops(plan, count, result.drops))
    if result.permutation is not None:
        response.entry_permutation.CopyFrom(_permutation(count, result.permutation))
    return response


def _metrics(run: Measured | None) -> metrics_pb2.Metrics | None:
    return None if run is None else metrics_message(run.metrics, run.reasons)


def _gap(gap: Gap) -> stress_pb2.StressUndefinedReason.ValueType:
    return stress_pb2.StressUndefinedReason.ValueType(gap)


def _delay(plan: StressPlan, outcome: Outcome) -> stress_pb2.DelayStress:
    return stress_pb2.DelayStress(
        bar_count=plan.delay_bars,
        metrics=_metrics(outcome.run),
        undefined_reason=_gap(outcome.gap),
    )


def _noise(plan: StressPlan, noise: Noise) -> stress_pb2.NoiseStress:
    return stress_pb2.NoiseStress(
        variant_count=noise.count,
        noise_ratio=plan.noise_ratio,
        total_return_ratio=distribution_message(noise.total_returns),
        columns=[
            metric_column(name, noise.values[name], noise.reasons[name]) for name in plan.metrics
        ],
    )


def _drops(plan: StressPlan, trade_count: int, drops: Drops) -> stress_pb2.TradeDropStress:
    return stress_pb2.TradeDropStress(
        variant_count=drops.count,
        drop_probability=plan.drop_probability,
        trade_count=trade_count,
        total_return_ratio=distribution_message(drops.total_returns),
        undefined_reason=_gap(drops.gap),
    )


def _permutation(trade_count: int, found: Permutation) -> stress_pb2.EntryPermutation:
    return stress_pb2.EntryPermutation(
        variant_count=found.count,
        trade_count=trade_count,
        actual_total_return_ratio=found.actual,
        total_return_ratio=distribution_message(found.total_returns),
        p_value=found.p_value,
        undefined_reason=_gap(found.gap),
    )
