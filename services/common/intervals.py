"""Bar lengths: their names, their length, and where bars open. Pure."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Final

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
YEAR_MS: Final = 365 * DAY_MS
_WEEK_PHASE_MS: Final = 4 * DAY_MS
"""The epoch was a Thursday; the first Monday came four days later."""


class Interval(enum.Enum):
    """The length of one bar; the value is its name in dataset names."""

    MINUTE_1 = "1m"
    MINUTE_3 = "3m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_4 = "4h"
    HOUR_6 = "6h"
    HOUR_12 = "12h"
    DAY_1 = "1d"
    WEEK_1 = "1w"
    MONTH_1 = "1mo"

    @property
    def number(self) -> int:
        """The value of `assay.market.v1.Interval` for this interval."""
        return list(Interval).index(self) + 1

    @staticmethod
    def from_number(number: int) -> Interval:
        """Return the interval of an `assay.market.v1.Interval` value; ValueError for others."""
        members = list(Interval)
        if not 1 <= number <= len(members):
            raise ValueError(f"no interval has the number {number}")
        return members[number - 1]

    @property
    def length_ms(self) -> int:
        """Length of one bar in ms; ValueError for a month, which has no fixed length."""
        if self is Interval.MONTH_1:
            raise ValueError("a month has no fixed length")
        unit = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS, "w": 7 * DAY_MS}
        return int(self.value[:-1]) * unit[self.value[-1]]

    @property
    def bars_per_year(self) -> float:
        """Bars in a year of 365 days; 12 for months."""
        return 12.0 if self is Interval.MONTH_1 else YEAR_MS / self.length_ms

    def is_aligned(self, open_time_ms: int) -> bool:
        """Tell whether a bar may open at this time."""
        if self is Interval.MONTH_1:
            moment = datetime.fromtimestamp(open_time_ms / 1000, UTC)
            return moment.day == 1 and open_time_ms % DAY_MS == 0
        phase = _WEEK_PHASE_MS if self is Interval.WEEK_1 else 0
        return (open_time_ms - phase) % self.length_ms == 0

    def next_open_ms(self, open_time_ms: int) -> int:
        """Return the open time of the bar after the one that opens at `open_time_ms`."""
        if self is not Interval.MONTH_1:
            return open_time_ms + self.length_ms
        moment = datetime.fromtimestamp(open_time_ms / 1000, UTC)
        years, month = divmod(moment.month, 12)
        following = datetime(moment.year + years, month + 1, 1, tzinfo=UTC)
        return int(following.timestamp()) * 1000

    def bars_between(self, first_open_ms: int, second_open_ms: int) -> int:
        """Return how many bars lie from the first open time to the second."""
        if self is not Interval.MONTH_1:
            return (second_open_ms - first_open_ms) // self.length_ms
        first = datetime.fromtimestamp(first_open_ms / 1000, UTC)
        second = datetime.fromtimestamp(second_open_ms / 1000, UTC)
        return (second.year - first.year) * 12 + second.month - first.month
