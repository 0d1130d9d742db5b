"""Many parameter sets on one frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.backtest.core.evaluation import Evaluator, LookbackTooShort, WindowTooShort
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Bytes, Numbers
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.backtest.core.parameter_sets import (
    InvalidSet,
    ParameterSets,
    SetPlan,
    required_lookback,
)
from services.backtest.core.strategies import Strategy

__all__ = [
    "BatchResult",
    "Cancelled",
    "ParameterSets",
    "SetFailure",
    "evaluate",
    "required_lookback",
]


class Cancelled(Exception):  # noqa: N818 - not an error, a wish granted
    """The caller no longer wants the result."""


@dataclass(frozen=True, slots=True)
class SetFailure:
    """A set that could not be run: its place, and the reason, message and particulars of it."""

    index: int
    reason: str
    message: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """Metrics of every set.

    Attributes:
        values: By metric name float64, shape (sets,); NaN where undefined.
        reasons: By metric name uint8, shape (sets,), numbers of UndefinedReason; 0 where defined.
        failures: The sets that could not be run, by rising index.
    """

    values: dict[str, Numbers]
    reasons: dict[str, Bytes]
    failures: tuple[SetFailure, ...]


def evaluate(
    frame: Frame,
    strategy: Strategy,
    direction: Direction,
    sets: ParameterSets,
    execution: Execution,
    metrics: Sequence[str],
    cancelled: Callable[[], bool],
) -> BatchResult:
    """Run every set and return the metrics asked for, names of METRIC_NAMES.

    A set that cannot be run is a failure and leaves its neighbours unharmed. `cancelled` is asked
    before every set; raises Cancelled when it says so.
    """
    evaluator = Evaluator(frame)
    values = np.full((sets.count, len(METRIC_NAMES)), np.nan)
    reasons = np.zeros((sets.count, len(METRIC_NAMES)), np.uint8)
    failures = []
    plan = SetPlan(strategy, sets, execution)
    for index in range(sets.count):
        if cancelled():
            raise Cancelled
        try:
            own, terms = plan.values(index), plan.terms(index)
            evaluator.run(strategy, direction, own, terms, values[index], reasons[index])
        except Exception as error:  # noqa: BLE001 - a defect in one set must not fail the others
            failures.append(_failure(index, error))
            values[index] = np.nan
            reasons[index] = UndefinedReason.SET_FAILED
    places = {name: METRIC_NAMES.index(name) for name in metrics}
    return BatchResult(
        values={name: values[:, place].copy() for name, place in places.items()},
        reasons={name: reasons[:, place].copy() for name, place in places.items()},
        failures=tuple(failures),
    )


def _failure(index: int, error: Exception) -> SetFailure:
    if isinstance(error, WindowTooShort):
        counts = {
            "needed_bar_count": str(error.needed),
            "available_bar_count": str(error.available),
        }
        return SetFailure(index, "WINDOW_TOO_SHORT", str(error), counts)
    if isinstance(error, (InvalidSet, LookbackTooShort)):
        return SetFailure(index, "FIELD_INVALID", str(error), {})
    told = f"the set could not be computed: {type(error).__name__}"
    return SetFailure(index, "SET_FAILED", told, {})
