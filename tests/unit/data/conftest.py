"""Small frames for tests of the data service's rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from services.common.frames import Candles
from services.common.intervals import Interval


@pytest.fixture
def bars() -> Callable[..., Candles]:
    """Make flat, valid bars at the given open times; columns may be replaced by name."""

    def make(open_time_ms: list[int], **columns: list[float]) -> Candles:
        count = len(open_time_ms)
        plain = {"open": 100.0, "high": 102.0, "low": 98.0, "close": 101.0, "volume": 5.0}
        filled = [columns.get(name, np.full(count, value)) for name, value in plain.items()]
        return Candles.from_columns([open_time_ms, *filled])

    return make


@pytest.fixture
def hour() -> int:
    """One hour in ms."""
    return Interval.HOUR_1.length_ms
