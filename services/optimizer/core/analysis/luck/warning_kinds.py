"""What can speak against a result."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class WarningKind(enum.Enum):
    """What speaks against a result, gravest first; values are those of `LuckWarning.Kind`."""

    SHARPE_NOT_POSITIVE = 1
    BELOW_EXPECTED_MAXIMUM = 2
    DEFLATED_SHARPE_LOW = 3
    OVERFITTING_LIKELY = 4
    OVERFITTING_POSSIBLE = 5
    WALK_DEFLATED_SHARPE_LOW = 14
    WALK_NOT_PASSED = 15
    CASH_NOT_BEATEN = 10
    CROSS_VALIDATION_WEAK = 12
    FEW_TRADES = 6
    TRACK_RECORD_SHORT = 7
    NEIGHBORHOOD_WEAK = 8
    NO_PLATEAU = 17
    OVERLAPPING_OOS = 16
    BUY_AND_HOLD_NOT_BEATEN = 11
    AT_EDGE = 9

    @property
    def gravity(self) -> int:
        """Place among the kinds, the gravest first."""
        return list(WarningKind).index(self)


@dataclass(frozen=True, slots=True)
class LuckWarning:
    """Something that speaks against a result, with its numbers for people."""

    kind: WarningKind
    message: str
