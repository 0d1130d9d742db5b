"""What resampling and cross-validation found, as messages."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from assay.optimizer.v1 import resampling_pb2, study_pb2

from services.optimizer.core.analysis.luck.cross_validation import CrossValidation
from services.optimizer.core.analysis.luck.intervals import CONFIDENCE, Intervals
from services.optimizer.core.analysis.luck.resampling import REPETITIONS, block_days
from services.optimizer.core.analysis.luck.superior_ability import BenchmarkTest, SuperiorAbility


class Resampled(Protocol):
    """What resampling found of a study's best trial, or of a walk."""

    @property
    def superior_ability(self) -> SuperiorAbility | None:
        """Whether benchmarks are beaten."""

    @property
    def intervals(self) -> Intervals | None:
        """How far statistics would scatter."""


def add_resampling(message: study_pb2.LuckReport, evidence: Resampled) -> None:
    """Tell in a report of luck what was asked of resampling."""
    if evidence.superior_ability is not None:
        message.superior_ability.CopyFrom(superior_ability_message(evidence.superior_ability))
    if evidence.intervals is not None:
        message.intervals.CopyFrom(intervals_message(evidence.intervals))


def superior_ability_message(found: SuperiorAbility) -> resampling_pb2.SuperiorAbility:
    """Return whether benchmarks are beaten as a message."""
    return resampling_pb2.SuperiorAbility(
        trial_count=found.trial_count,
        repetition_count=REPETITIONS,
        block_day_count=block_days(found.day_count),
        cash=_test_message(found.cash),
        buy_and_hold=_test_message(found.buy_and_hold),
    )


def _test_message(test: BenchmarkTest) -> resampling_pb2.SuperiorAbilityTest:
    message = resampling_pb2.SuperiorAbilityTest(
        compared_trial_count=test.compared_count, undefined_reason=test.undefined_reason
    )
    if test.p_values is not None:
        message.lower_p_value = test.p_values.lower
        message.consistent_p_value = test.p_values.consistent
        message.upper_p_value = test.p_values.upper
    return message


def intervals_message(found: Intervals) -> resampling_pb2.BootstrapIntervals:
    """Return how far statistics would scatter as a message."""
    return resampling_pb2.BootstrapIntervals(
        intervals=[
            resampling_pb2.BootstrapInterval(
                name=one.name, value=one.value, lower=one.lower, upper=one.upper
            )
            for one in found.intervals
        ],
        repetition_count=REPETITIONS,
        block_day_count=block_days(found.day_count),
        confidence_ratio=CONFIDENCE,
        undefined_reason=found.undefined_reason,
    )


def cross_validation_message(found: CrossValidation) -> resampling_pb2.CrossValidation:
    """Return what choosing the best trial earns on other days as a message."""
    plan, paths = found.plan, found.path_sharpes
    message = resampling_pb2.CrossValidation(
        group_count=plan.group_count,
        test_group_count=plan.test_group_count,
        purge_days=plan.purge_days,
        embargo_days=plan.embargo_days,
        trial_count=found.trial_count,
        split_count=plan.split_count,
        path_count=plan.path_count,
        fewest_training_days=found.fewest_training_days,
        undefined_reason=found.undefined_reason,
    )
    if found.undefined_reason:
        return message
    lowest, first, median, third, highest = np.quantile(paths, (0.0, 0.25, 0.5, 0.75, 1.0)).tolist()
    message.chosen_trial_count = found.chosen_count
    message.mean_training_sharpe_ratio = found.mean_training_sharpe
    message.path_sharpe_ratios.extend(paths.tolist())
    message.MergeFrom(
        resampling_pb2.CrossValidation(
            mean_path_sharpe_ratio=found.mean,
            path_sharpe_deviation=float(paths.std(ddof=1)) if len(paths) > 1 else None,
            lowest_path_sharpe_ratio=lowest,
            first_quartile_path_sharpe_ratio=first,
            median_path_sharpe_ratio=median,
            third_quartile_path_sharpe_ratio=third,
            highest_path_sharpe_ratio=highest,
            losing_path_ratio=found.losing_ratio,
        )
    )
    return message
