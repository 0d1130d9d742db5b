"""The statistics of luck: workers' sums from messages, the report to one."""

from __future__ import annotations

from typing import Final

import numpy as np
from assay.backtest.v1 import backtest_service_pb2, metrics_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.resampling import add_resampling, cross_validation_message
from services.optimizer.convert.studies import trial_name
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments
from services.optimizer.core.analysis.luck.sharpe import TrackRecord, daily_sharpe
from services.optimizer.core.analysis.luck.verdict import Luck
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.trial import Trial

NORMAL_KURTOSIS: Final = 3.0


def moments_of(response: backtest_service_pb2.RunBacktestBatchResponse) -> ReturnMoments:
    """Return the sums over daily returns that a worker tells."""
    told = response.return_statistics
    shape = (-1, max(told.block_count, 1))
    return ReturnMoments(
        day_count=told.day_count,
        dropped_day_count=told.dropped_day_count,
        block_day_count=told.block_day_count,
        sums=np.array(told.block_sums, np.float64).reshape(shape),
        squares=np.array(told.block_square_sums, np.float64).reshape(shape),
        standardized=np.array(told.standardized_sums, np.float64),
        standardized_count=told.standardized_set_count,
    )


def daily_returns_of(response: backtest_service_pb2.RunBacktestBatchResponse) -> Numbers:
    """Return the daily returns of all sets, shape (sets, days); NaN for sets without."""
    told = response.return_statistics
    known = np.array(told.daily_returns, np.float64).reshape(-1, max(told.day_count, 1))
    if not told.undefined_reasons:
        return known if told.day_count else np.empty((len(known), 0))
    reasons = np.array(told.undefined_reasons)
    found = np.full((len(reasons), told.day_count), np.nan)
    found[reasons == 0] = known[:, : told.day_count]
    return found


def objective_values(
    response: backtest_service_pb2.RunBacktestBatchResponse, objective: Objective, set_count: int
) -> list[float | None]:
    """Return the objective of each set; None where it is undefined or the set could not be run."""
    known: list[dict[str, float]] = [{} for _ in range(set_count)]
    for column in response.columns:
        reasons = column.undefined_reasons or [
            metrics_pb2.UNDEFINED_REASON_UNSPECIFIED for _ in range(set_count)
        ]
        places = [place for place, reason in enumerate(reasons) if not reason]
        for place, value in zip(places, column.values, strict=True):
            known[place][column.metric] = value
    return [objective.value(metrics) for metrics in known]


def record_of(trial: Trial, day_count: int) -> TrackRecord | None:
    """Return a trial's daily returns by their moments; None where one is undefined."""
    metrics = trial.outcome.metrics
    known = [metrics.get(name) for name in ("sharpe_ratio", "skewness", "excess_kurtosis")]
    sharpe, skewness, excess = known
    if sharpe is None or skewness is None or excess is None:
        return None
    return TrackRecord(daily_sharpe(sharpe), skewness, excess + NORMAL_KURTOSIS, day_count)


def luck_message(study_id: str, trial: Trial, luck: Luck) -> study_pb2.LuckReport:
    """Return how likely a trial is luck as a message."""
    evidence = luck.evidence
    message = study_pb2.LuckReport(
        verdict=study_pb2.LuckReport.Verdict.ValueType(luck.verdict.value),
        warnings=[
            study_pb2.LuckWarning(
                kind=study_pb2.LuckWarning.Kind.ValueType(one.kind.value), message=one.message
            )
            for one in luck.warnings
        ],
        trial=trial_name(study_id, trial.number),
        day_count=evidence.day_count,
        daily_sharpe_ratio=None if evidence.record is None else evidence.record.sharpe,
        probabilistic_sharpe_ratio=luck.probabilistic,
        min_track_record_days=luck.min_days,
        trial_count=evidence.trial_count,
        trial_correlation=luck.correlation,
        effective_trial_count=luck.effective_count,
        trial_sharpe_variance=evidence.trial_variance,
        expected_max_sharpe_ratio=luck.expected_max,
        deflated_sharpe_ratio=luck.deflated,
        effective_expected_max_sharpe_ratio=luck.effective_expected_max,
        effective_deflated_sharpe_ratio=luck.effective_deflated,
        overfitting=_overfitting_message(luck),
        trade_count=evidence.trade_count,
    )
    if evidence.neighborhood is not None:
        message.neighborhood.CopyFrom(_neighborhood_message(evidence.neighborhood))
    add_resampling(message, evidence)
    if evidence.cross_validation is not None:
        message.cross_validation.CopyFrom(cross_validation_message(evidence.cross_validation))
    return message


def _overfitting_message(luck: Luck) -> study_pb2.BacktestOverfitting:
    evidence = luck.evidence
    trial_count, block_count = evidence.moments.sums.shape
    message = study_pb2.BacktestOverfitting(
        trial_count=trial_count,
        complete_trial_count=evidence.complete_count,
        block_count=block_count,
        block_day_count=evidence.moments.block_day_count,
        dropped_day_count=evidence.moments.dropped_day_count,
    )
    found = evidence.overfitting
    if found is not None:
        message.combination_count = found.combination_count
        message.probability = found.probability
        message.loss_probability = found.loss_probability
        if found.degradation_slope is not None:
            message.degradation_slope = found.degradation_slope
    return message


def _neighborhood_message(near: Neighborhood) -> study_pb2.Neighborhood:
    return study_pb2.Neighborhood(
        neighbor_count=near.neighbor_count,
        defined_neighbor_count=near.defined_count,
        best_value=near.best,
        worst_value=near.worst,
        median_value=near.median,
        mean_value=near.mean,
        worst_kept_ratio=near.kept(near.worst),
        median_kept_ratio=near.kept(near.median),
        mean_kept_ratio=near.kept(near.mean),
    )
