"""The recorded market."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from services.common.frames import Candles


@pytest.fixture(scope="session")
def bitcoin_2024() -> Candles:
    """BTCUSDT, 1 hour, 2024, Bybit linear; skips where the recorded market is not at hand."""
    beside = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("TEST_MARKET_DATA", beside))
    path = folder / "BTCUSDT_1h_2024_bybit_linear.csv.gz"
    if not path.exists():
        pytest.skip("the recorded market is not at hand")
    return Candles.from_columns(np.loadtxt(path, delimiter=",", skiprows=1).T)
