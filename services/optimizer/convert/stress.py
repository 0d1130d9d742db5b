"""Stress of the best trial: options checked, the worker's answer to a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from assay.backtest.v1 import backtest_service_pb2, metrics_pb2, stress_pb2
from assay.optimizer.v1 import stress_pb2 as report_pb2
from assay.optimizer.v1 import study_pb2

from services.common.distribution import Distribution, distribution_of
from services.common.distribution_codec import distribution_message
from services.common.errors import Violation
from services.optimizer.convert.luck import objective_values
from services.optimizer.convert.studies import trial_name
from services.optimizer.convert.values import METRIC_NAMES, assignments
from services.optimizer.core.analysis.stress.judgement import (
    Shaken,
    Stressed,
    StressEvidence,
    findings_of,
    permutation_p_value,
)
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.trial import Trial

MOST_BAR_PERMUTATIONS: Final = 100
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
class Permuted:
    """Searches on permuted bars.

    Attributes:
        best_values: The best objective of each market; None where nothing was feasible.
        trial_count: Trials of each search.
    """

    best_values: Sequence[float | None]
    trial_count: int


def stress_violations(options: report_pb2.StressOptions) -> list[Violation]:
    """Return everything wrong with a request's `stress`."""
    found, parts = [], options.parts
    for name, most in _LIMITS.items():
        if not 0 <= getattr(parts, name) <= most:
            found.append(Violation(f"stress.parts.{name}", f"must be from 0 to {most:,}"))
    if len(parts.cost_factors) > MOST_FACTORS:
        told = f"holds {len(parts.cost_factors):,} factors; at most {MOST_FACTORS}"
        found.append(Violation("stress.parts.cost_factors", told))
    for number, factor in enumerate(parts.cost_factors[:MOST_FACTORS]):
        if not (math.isfinite(factor) and 0.0 <= factor <= LARGEST_FACTOR):
            told = f"must be from 0 to {LARGEST_FACTOR:g}"
            found.append(Violation(f"stress.parts.cost_factors[{number}]", told))
    if not 0 <= options.bar_permutation_count <= MOST_BAR_PERMUTATIONS:
        told = f"must be from 0 to {MOST_BAR_PERMUTATIONS}"
        found.append(Violation("stress.bar_permutation_count", told))
    return found


def is_wanted(options: report_pb2.StressOptions) -> bool:
    """Whether the best trial is to be put under stress."""
    return options.wanted if options.HasField("wanted") else True


def stress_request(
    spec: study_pb2.StudySpec,
    best: Trial,
    objective: Objective,
    parts: stress_pb2.StressParts,
    seed: int,
) -> stress_pb2.RunStressTestRequest:
    """Return what a worker is asked of the best trial of a pinned study with one dataset."""
    return stress_pb2.RunStressTestRequest(
        snapshot=spec.data[0],
        strategy=spec.strategy,
        parameters=assignments(best.parameters),
        execution=spec.execution,
        parts=parts,
        seed=seed,
        metrics=dict.fromkeys(objective.metrics),
    )


def stress_message(
    name: str,
    best: Trial,
    objective: Objective,
    found: stress_pb2.RunStressTestResponse,
    permuted: Permuted | None,
) -> report_pb2.StressReport:
    """Return the report on the best trial of the study with this id."""
    report = report_pb2.StressReport(
        trial=trial_name(name, best.number),
        objective_value=best.objective_values[0],
        total_return_ratio=found.base.total_return_ratio,
    )
    if found.HasField("drops"):
        report.drops.CopyFrom(found.drops)
    if found.HasField("entry_permutation"):
        report.entry_permutation.CopyFrom(found.entry_permutation)
    if permuted is not None:
        report.bar_permutation.CopyFrom(_bar_permutation(best, objective, permuted))
    noise = _noise_objectives(found.noise, objective)
    evidence = _evidence(best, objective, found, noise, report)
    for cost in found.costs:
        run = _stressed(cost.metrics, cost.undefined_reason, objective, evidence)
        run.cost_factor = cost.factor
        report.costs.append(run)
    if found.HasField("delay"):
        delay = found.delay
        report.delay.CopyFrom(_stressed(delay.metrics, delay.undefined_reason, objective, evidence))
        report.delay.delay_bars = delay.bar_count
    if found.HasField("noise"):
        report.noise.CopyFrom(
            report_pb2.NoiseResult(
                variant_count=found.noise.variant_count,
                noise_ratio=found.noise.noise_ratio,
                total_return_ratio=found.noise.total_return_ratio,
                objective=distribution_message(noise),
                median_kept_ratio=evidence.kept(_median(noise)),
            )
        )
    report.warnings.extend(
        report_pb2.StressWarning(
            kind=report_pb2.StressWarning.Kind.ValueType(one.kind.value), message=one.message
        )
        for one in findings_of(evidence)
    )
    return report


def _evidence(
    best: Trial,
    objective: Objective,
    found: stress_pb2.RunStressTestResponse,
    noise: Distribution,
    report: report_pb2.StressReport,
) -> StressEvidence:
    profits, drops = found.noise.total_return_ratio, found.drops.total_return_ratio
    entries = found.entry_permutation
    shaken = Shaken(
        profits.positive_ratio if profits.HasField("positive_ratio") else None, _median(noise)
    )
    return StressEvidence(
        objective=best.objective_values[0],
        maximize=objective.maximize,
        costs=[_run(one.metrics, objective, one.factor) for one in found.costs],
        delay=_run(found.delay.metrics, objective) if found.HasField("delay") else None,
        noise=shaken if found.HasField("noise") else None,
        drop_quantile=drops.quantile_05 if drops.HasField("quantile_05") else None,
        entry_p_value=entries.p_value if entries.HasField("p_value") else None,
        entry_placement_count=entries.variant_count,
        bar_p_value=(
            report.bar_permutation.p_value if report.HasField("bar_permutation") else None
        ),
        bar_market_count=report.bar_permutation.variant_count,
    )


def _run(metrics: metrics_pb2.Metrics, objective: Objective, factor: float = 1.0) -> Stressed:
    total = metrics.total_return_ratio if metrics.HasField("total_return_ratio") else None
    return Stressed(total, objective.value(_known(metrics)), factor)


def _known(metrics: metrics_pb2.Metrics) -> dict[str, float]:
    return {
        name: float(getattr(metrics, name))
        for name in METRIC_NAMES
        if metrics.HasField(name)  # type: ignore[arg-type]  # the names are those of the message
    }


def _stressed(
    metrics: metrics_pb2.Metrics,
    reason: stress_pb2.StressUndefinedReason.ValueType,
    objective: Objective,
    evidence: StressEvidence,
) -> report_pb2.StressedRun:
    value = objective.value(_known(metrics))
    return report_pb2.StressedRun(
        metrics=None if reason else metrics,
        objective_value=value,
        objective_kept_ratio=evidence.kept(value),
        undefined_reason=reason,
    )


def _noise_objectives(noise: stress_pb2.NoiseStress, objective: Objective) -> Distribution:
    answer = backtest_service_pb2.RunBacktestBatchResponse(columns=noise.columns)
    values = objective_values(answer, objective, noise.variant_count)
    known = [value for value in values if value is not None]
    return distribution_of(np.array(known, np.float64))


def _median(found: Distribution) -> float | None:
    return found.quantiles[2] if found.quantiles else None


def _bar_permutation(
    best: Trial, objective: Objective, permuted: Permuted
) -> report_pb2.BarPermutation:
    known = [value for value in permuted.best_values if value is not None]
    return report_pb2.BarPermutation(
        variant_count=len(permuted.best_values),
        best_values=known,
        objective=distribution_message(distribution_of(np.array(known, np.float64))),
        p_value=permutation_p_value(
            best.objective_values[0], permuted.best_values, maximize=objective.maximize
        ),
        trial_count=permuted.trial_count,
    )
