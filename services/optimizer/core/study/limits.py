"""The limits of a study, which may change while it runs, and which of them has ended it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class StopReason(enum.Enum):
    """Why a study ended as SUCCEEDED; the name is `assay.optimizer.v1.Study.stop_reason`."""

    TRIAL_COUNT = "TRIAL_COUNT"
    TARGET = "TARGET"
    PATIENCE = "PATIENCE"
    MAX_DURATION = "MAX_DURATION"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a study ends.

    Attributes:
        trial_count: Trials it has when it is finished.
        max_duration_ms: Longest time in RUNNING, summed over all owners; None: no such end.
        patience_trial_count: Trials in a row without a change of the best; None: no such end.
        target_value: The best objective ends the study when it is at least as good; None: no such
            end.
    """

    trial_count: int
    max_duration_ms: int | None = None
    patience_trial_count: int | None = None
    target_value: float | None = None


def reason_to_end(
    limits: Limits,
    *,
    finished: int,
    unchanged: int,
    best_value: float | None,
    maximize: bool,
    elapsed_ms: int,
) -> StopReason | None:
    """Return why a study has come to its end; None while it has not.

    Args:
        limits: The limits of now.
        finished: Trials finished.
        unchanged: Trials since the best changed.
        best_value: The best trial's objective, for one objective; None where there is none.
        maximize: Whether larger is better.
        elapsed_ms: Time in RUNNING so far.
    """
    if finished >= limits.trial_count:
        return StopReason.TRIAL_COUNT
    target = limits.target_value
    if (
        target is not None
        and best_value is not None
        and (best_value >= target if maximize else best_value <= target)
    ):
        return StopReason.TARGET
    if limits.patience_trial_count is not None and unchanged >= limits.patience_trial_count:
        return StopReason.PATIENCE
    if limits.max_duration_ms is not None and elapsed_ms >= limits.max_duration_ms:
        return StopReason.MAX_DURATION
    return None
