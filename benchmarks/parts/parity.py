"""The reference grid against vectorbt: do both engines see the same trades and the same returns?"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2

from benchmarks.parts import reference_grid
from benchmarks.parts.peer_environment import python_with
from services.common.frames import Candles

VERSION: Final = "1.2.0"
_SCRIPT: Final = Path(__file__).resolve().parents[1] / "peers" / "vectorbt_crossover.py"

Column = npt.NDArray[np.float64]


def against_vectorbt(
    candles: Candles, answer: backtest_service_pb2.RunBacktestBatchResponse
) -> dict[str, float]:
    """Compare our answer for the reference grid with vectorbt's, set by set.

    The `parity_` figures compare with vectorbt trading the crossings of exact means. The
    `own_mean_` ones compare with vectorbt's own floating-point means, whose ties flip: they leave
    out the sets whose signals differ from exact ones, and count them.
    """
    theirs = _vectorbt(candles)
    ours = {name: _column(answer, name) for name in ("total_return_ratio", "trade_count")}
    same_signals = ~theirs["differs"].astype(bool)
    every = np.ones_like(same_signals)

    def difference(source: str, sets: npt.NDArray[np.bool_]) -> float:
        theirs_then = theirs[f"{source}_return"][sets]
        return float(np.abs(ours["total_return_ratio"][sets] - theirs_then).max())

    def mismatches(source: str, sets: npt.NDArray[np.bool_]) -> int:
        return int((ours["trade_count"][sets] != theirs[f"{source}_trades"][sets]).sum())

    return {
        "parity_set_count": int(every.sum()),
        "parity_trade_count": int(ours["trade_count"].sum()),
        "parity_max_abs_return_diff": difference("exact", every),
        "parity_trade_count_mismatches": mismatches("exact", every),
        "own_mean_tie_sets": int((~same_signals).sum()),
        "own_mean_max_abs_return_diff": difference("own", same_signals),
        "own_mean_trade_count_mismatches": mismatches("own", same_signals),
        "vectorbt_cpu_seconds": float(theirs["cpu_seconds"]),
    }


def _column(answer: backtest_service_pb2.RunBacktestBatchResponse, name: str) -> Column:
    """Return a metric with NaN where a set has none."""
    column = next(column for column in answer.columns if column.metric == name)
    values = np.array(column.values)
    if not column.undefined_reasons:
        return values
    spread = np.full(len(column.undefined_reasons), np.nan)
    spread[np.array(column.undefined_reasons) == 0] = values
    return spread


def _vectorbt(candles: Candles) -> dict[str, Column]:
    fast, slow = reference_grid.periods()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            source,
            open=candles.open,
            close=candles.close,
            fast=fast,
            slow=slow,
            fee=reference_grid.FEE_BPS / 10_000,
        )
        python = python_with("vectorbt", VERSION)
        subprocess.run([python, _SCRIPT, source, target], check=True)
        with np.load(target) as written:
            return dict(written)
