"""Do both engines see the same trades and the same returns?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2

Column = npt.NDArray[np.float64]


def column_of(answer: backtest_service_pb2.RunBacktestBatchResponse, name: str) -> Column:
    """Return a metric of an answer with NaN where a set has none."""
    column = next(column for column in answer.columns if column.metric == name)
    values = np.array(column.values)
    if not column.undefined_reasons:
        return values
    spread = np.full(len(column.undefined_reasons), np.nan)
    spread[np.array(column.undefined_reasons) == 0] = values
    return spread


def against(
    name: str,
    answer: backtest_service_pb2.RunBacktestBatchResponse,
    theirs: dict[str, Column],
) -> dict[str, float]:
    """Compare the worker's answer for the reference grid with a peer's, set by set.

    Both trade the crossings of exact means, decided at a close and filled at the next open.
    """
    difference = np.abs(column_of(answer, "total_return_ratio") - theirs["total_return"])
    figures = {f"parity_{name}_max_abs_diff": float(difference.max())}
    if "trades" in theirs:
        mismatches = column_of(answer, "trade_count") != theirs["trades"]
        figures[f"parity_{name}_trade_count_mismatches"] = int(mismatches.sum())
    return figures
