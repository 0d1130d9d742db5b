"""Daily returns as the workers sum them up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments

Summed = Callable[..., ReturnMoments]


def _summed(returns: Numbers, blocks: int = 16) -> ReturnMoments:
    trials, days = returns.shape
    length = days // blocks
    cut = returns[:, days - blocks * length :].reshape(trials, blocks, length)
    varying = returns[(returns != returns[:, :1]).any(axis=1)]
    spread = varying - varying.mean(axis=1, keepdims=True)
    standardized = spread / varying.std(axis=1, keepdims=True)
    return ReturnMoments(
        day_count=days,
        dropped_day_count=days - blocks * length,
        block_day_count=length,
        sums=cut.sum(axis=2),
        squares=(cut**2).sum(axis=2),
        standardized=np.asarray(standardized.sum(axis=0)),
        standardized_count=len(varying),
    )


@pytest.fixture
def summed() -> Summed:
    """Return the function that sums up returns, shape (trials, days), by blocks."""
    return _summed
