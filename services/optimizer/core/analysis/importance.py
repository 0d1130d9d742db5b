"""How much parameters matter for an objective, and whether that can be more than chance."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Evaluator(enum.Enum):
    """How importance is judged; the value is `assay.optimizer.v1.ParameterImportance.evaluator`."""

    PED_ANOVA = "PED-ANOVA"
    F_ANOVA = "F-ANOVA"


@dataclass(frozen=True, slots=True)
class Share:
    """One parameter's share of the importance.

    Attributes:
        name: The parameter.
        share_ratio: Its share, 0 to 1.
        baseline_share_ratio: What chance gives it in 95 of 100 cases at most, on the same scale.
        significant: Whether its share is above that.
    """

    name: str
    share_ratio: float
    baseline_share_ratio: float
    significant: bool


@dataclass(frozen=True, slots=True)
class Importance:
    """How much each parameter matters for one objective.

    Attributes:
        metric: The objective's metric.
        evaluator: How it was judged.
        shares: By falling share, equals in the order of the spec; they sum to 1. Empty where
            undefined.
        undefined_reason: Why there are no shares, as in `assay.optimizer.v1.ParameterImportance`;
            else empty.
    """

    metric: str
    evaluator: Evaluator
    shares: tuple[Share, ...] = ()
    undefined_reason: str = ""
