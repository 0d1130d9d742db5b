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
