"""The fast path: sets long at full equity or flat, at a cost per trade instead of per bar."""

from services.backtest.core.sparse.ranges import MOST_BARS, Ranges, ranges_of
from services.backtest.core.sparse.run import DAYS, NOT_COVERED, run_changes, run_plain, wants_of

__all__ = [
    "DAYS",
    "MOST_BARS",
    "NOT_COVERED",
    "Ranges",
    "ranges_of",
    "run_changes",
    "run_plain",
    "wants_of",
]
