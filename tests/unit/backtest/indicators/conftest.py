"""Markets for tests of indicators."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.unit.backtest.indicators import series


@pytest.fixture(scope="session", params=["random walk", "decimals", "bitcoin 2024"])
def market(request: pytest.FixtureRequest) -> series.Market:
    """Columns: a random walk, one in cents, and recorded hours, skipped where not at hand."""
    if request.param == "random walk":
        return series.walk(1, 700, decimals=None)
    if request.param == "decimals":
        return series.walk(2, 700)
    beside = Path(__file__).parents[4].parent / "shared" / "data"
    folder = Path(os.environ.get("TEST_MARKET_DATA", beside))
    path = folder / "BTCUSDT_1h_2024_bybit_linear.csv.gz"
    if not path.exists():
        pytest.skip("the recorded market is not at hand")
    columns = np.loadtxt(path, delimiter=",", skiprows=1, max_rows=2_000).T
    return dict(zip(("open", "high", "low", "close", "volume"), columns[1:], strict=True))
