"""Daily returns of the scripted worker: noise of each set's own, summed up as the contract says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2

DAY_COUNT = 365
BLOCK_COUNT = 16

HELD = np.random.default_rng(7).normal(0.0002, 0.02, DAY_COUNT)
"""Daily returns of buy-and-hold."""


def returns_of(values: Mapping[str, int | float | str]) -> npt.NDArray[np.float64]:
    """Return the daily returns of a set, a function of its periods; without any, those held."""
    if not values:
        return HELD
    seed = int(values["fast_period"]) * 1_000 + int(values["slow_period"])
    return np.random.default_rng(seed).normal(0.0005, 0.01, DAY_COUNT)


def statistics_of(
    sets: Sequence[Mapping[str, int | float | str]],
    wanted: backtest_service_pb2.ReturnStatisticsRequest,
) -> backtest_service_pb2.ReturnStatistics:
    """Return what is wanted of the returns of sets."""
    returns = np.array([returns_of(values) for values in sets])
    equal = [DAY_COUNT // BLOCK_COUNT] * BLOCK_COUNT
    lengths = list(wanted.block_day_counts) or equal
    edges = DAY_COUNT - sum(lengths) + np.cumsum([0, *lengths])
    sums, squares = (np.add.reduceat(told, edges[:-1], axis=1) for told in (returns, returns**2))
    distance = returns - returns.mean(axis=1, keepdims=True)
    return backtest_service_pb2.ReturnStatistics(
        block_count=len(lengths),
        day_count=DAY_COUNT,
        dropped_day_count=int(edges[0]),
        block_day_count=0 if wanted.block_day_counts else equal[0],
        block_sums=sums.ravel().tolist(),
        block_square_sums=squares.ravel().tolist(),
        standardized_sums=(distance / returns.std(axis=1, keepdims=True)).sum(axis=0).tolist(),
        standardized_set_count=len(sets),
        daily_returns=returns.ravel().tolist() if wanted.daily_returns else (),
    )
