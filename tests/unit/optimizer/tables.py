"""Tables of made-up trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective

OBJECTIVES = (
    Objective("sharpe_ratio", maximize=True),
    Objective("max_drawdown_ratio", maximize=False),
    Objective("trade_count", maximize=True),
    Objective("cagr_ratio", maximize=False),
)


def table_of(
    values: Sequence[Sequence[float]] | npt.NDArray[np.float64],
    *,
    feasible: Sequence[bool] | None = None,
    states: Sequence[int] | None = None,
    generation_size: int = 4,
    parameters: Mapping[str, npt.NDArray[Any]] | None = None,
    metrics: Mapping[str, npt.NDArray[np.float64]] | None = None,
) -> TrialTable:
    """Return complete, feasible trials with these objective values, unless told otherwise."""
    found = np.array(values, dtype=np.float64)
    count = len(found)
    states = [1] * count if states is None else states
    complete = np.array(states, dtype=np.int8) == 1
    found[~complete] = np.nan
    return TrialTable(
        numbers=np.arange(count, dtype=np.int64),
        generation_numbers=(np.arange(count) // generation_size).astype(np.int32),
        states=np.array(states, dtype=np.int8),
        feasible=complete & (True if feasible is None else np.array(feasible, dtype=np.bool_)),
        objective_values=found,
        parameters=parameters or {},
        metrics=metrics or {},
    )
