"""The order engine: from what strategies want to fills, money and metrics."""

from __future__ import annotations

from services.backtest.core.engine.inputs import Lines, Signals, no_lines
from services.backtest.core.engine.run import METRICS, NO_LEVELS, Recorded, run_many, run_one
from services.backtest.core.measures.wants import ALL_WANTS, DAYS, wants_of

__all__ = [
    "ALL_WANTS",
    "DAYS",
    "METRICS",
    "NO_LEVELS",
    "Lines",
    "Recorded",
    "Signals",
    "no_lines",
    "run_many",
    "run_one",
    "wants_of",
]
