"""What a request wants of daily returns, checked alone and against the days there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.backtest.convert.jobs import BatchJob
from services.backtest.core.frame import Frame
from services.common.errors import Violation
from services.common.intervals import DAY_MS

MOST_NUMBERS: Final = 450_000
"""Numbers of an answer with daily returns: gRPC's default limit of 4 MiB less room for metrics."""

_PATH: Final = "return_statistics"


def returns_violations(job: BatchJob, frame: Frame) -> Iterator[Violation]:
    """Yield what is wanted of daily returns that a window does not have, or that no answer holds.

    Blocks of equal length and sums alone always fit.
    """
    wanted = job.returns
    if wanted is None or not (wanted.block_day_counts or wanted.daily):
        return
    days = day_count(frame)
    if sum(wanted.block_day_counts) > days:
        told = f"sum to {sum(wanted.block_day_counts):,} days, but there are {days:,}"
        yield Violation(f"{_PATH}.block_day_counts", told)
    blocks = len(wanted.block_day_counts) or wanted.block_count
    numbers = (job.sets.count + 1) * days + 2 * job.sets.count * blocks
    if wanted.daily and numbers > MOST_NUMBERS:
        told = (
            f"{job.sets.count:,} sets over {days:,} days and {blocks} blocks make {numbers:,} "
            f"numbers, but {MOST_NUMBERS:,} are the most; ask for fewer sets"
        )
        yield Violation(f"{_PATH}.daily_returns", told)


def day_count(frame: Frame) -> int:
    """Return the whole days of a window: between UTC midnights from its first open to its end."""
    opens = frame.candles.open_time_ms[frame.window_start :]
    if not len(opens):
        return 0
    first = -(-int(opens[0]) // DAY_MS)
    last = frame.interval.next_open_ms(int(opens[-1])) // DAY_MS
    return max(0, last - first)
