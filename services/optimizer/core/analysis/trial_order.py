"""Listing trials: which of them, in which order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import DoubleRange, IntRange
from services.optimizer.core.spec.spelling import did_you_mean
from services.optimizer.core.trial import Trial, TrialState

BY_NUMBER = "number"


@dataclass(frozen=True, slots=True)
class TrialOrder:
    """An order of trials: by number or by a metric, rising or falling."""

    key: str = BY_NUMBER
    falling: bool = False


def read_order(text: str, metrics: Collection[str]) -> TrialOrder:
    """Read "number", "sharpe_ratio desc" and the like; empty means by number.

    Raises:
        ValueError: it is nothing of the kind; the message says what is wrong.
    """
    words = text.split()
    if not words:
        return TrialOrder()
    if len(words) > 2 or (len(words) == 2 and words[1] != "desc"):
        raise ValueError('must be "number" or a metric, with " desc" behind for falling order')
    if words[0] != BY_NUMBER and words[0] not in metrics:
        hint = did_you_mean(words[0], [BY_NUMBER, *metrics])
        raise ValueError(f"no metric is called {words[0]!r}{hint}")
    return TrialOrder(words[0], falling=len(words) == 2)


def ordered(
    table: TrialTable, order: TrialOrder, state: TrialState | None
) -> npt.NDArray[np.int64]:
    """Return the numbers of the trials in a state (None: all), those without the metric last.

    Equals come by rising number, whichever the order. The table must hold the order's metric.
    """
    rows = np.arange(len(table))
    if state is not None:
        rows = rows[table.states == state.value]
    if order.key == BY_NUMBER:
        return table.numbers[rows[::-1] if order.falling else rows]
    keys = table.metrics[order.key][rows]
    # NaN, which is what undefined metrics are, is sorted last whatever its sign.
    return table.numbers[rows[np.argsort(-keys if order.falling else keys, kind="stable")]]


def parameters_at_edge(plan: StudyPlan, best: Trial) -> list[str]:
    """Return the searched numbers whose best value is an end of their range.

    A range of one value has no edge.
    """
    return [
        one.name
        for one in plan.space.searched
        if isinstance(one.domain, (IntRange, DoubleRange))
        and one.domain.low < one.domain.high
        and best.parameters[one.name] in {one.domain.low, one.domain.high}
    ]
