"""Daily returns of the scripted worker: noise of each set's own, summed up as the contract says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2

DAY_COUNT = 365
BLOCK_COUNT = 16


def returns_of(values: Mapping[str, int | float | str]) -> npt.NDArray[np.float64]:
    """Return the daily returns of a set, a function of its periods."""
    seed = int(values["fast_period"]) * 1_000 + int(values["slow_period"])
    return np.random.default_rng(seed).normal(0.0005, 0.01, DAY_COUNT)


def statistics_of(
    sets: Sequence[Mapping[str, int | float | str]],
) -> backtest_service_pb2.ReturnStatistics:
    """Return the sums over the returns of sets."""
    returns = np.array([returns_of(values) for values in sets])
    length = DAY_COUNT // BLOCK_COUNT
    cut = returns[:, DAY_COUNT % BLOCK_COUNT :].reshape(len(sets), BLOCK_COUNT, length)
    distance = returns - returns.mean(axis=1, keepdims=True)
    return backtest_service_pb2.ReturnStatistics(
        block_count=BLOCK_COUNT,
        day_count=DAY_COUNT,
        dropped_day_count=DAY_COUNT % BLOCK_COUNT,
        block_day_count=length,
        block_sums=cut.sum(axis=2).ravel().tolist(),
        block_square_sums=(cut**2).sum(axis=2).ravel().tolist(),
        standardized_sums=(distance / returns.std(axis=1, keepdims=True)).sum(axis=0).tolist(),
        standardized_set_count=len(sets),
    )
