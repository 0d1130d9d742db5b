"""The bars that expressions look at: those of a frame, and longer ones made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Integers, Numbers, frozen, kernel
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval

_HOUR_MS: Final = 3_600_000
_DAYS_TO_MONDAY: Final = 3
"""The epoch was a Thursday."""


class IntervalUnusable(Exception):  # noqa: N818 - says what happened
    """An expression asks for bars that cannot be made of the frame's."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Closed bars by rising open time.

    Attributes:
        interval: Length of a bar.
        candles: The bars.
        first: The first bar that may be looked at.
        origin: Bar from which lookbacks are counted back: the window's first.
    """

    interval: Interval
    candles: Candles
    first: int
    origin: int

    def __len__(self) -> int:
        return len(self.candles)

    @property
    def closes_ms(self) -> Integers:
        """When each bar closes, milliseconds since the epoch."""
        return close_times_ms(self.candles.open_time_ms, self.interval)

    def start(self, bars: int) -> int:
        """Return the bar that lies `bars` before the origin, or the first there is."""
        return max(self.first, self.origin - bars)

    def column(self, name: str) -> Numbers:
        """Return open, high, low, close, volume, hour or weekday of every bar."""
        if name == "hour":
            return frozen((self.candles.open_time_ms // _HOUR_MS % 24).astype(np.float64))
        if name == "weekday":
            days = self.candles.open_time_ms // DAY_MS + _DAYS_TO_MONDAY
            return frozen((days % 7).astype(np.float64))
        prices: Numbers = getattr(self.candles, name)
        return frozen(prices)


def timeline_of(frame: Frame) -> Timeline:
    """Return the bars of a frame."""
    return Timeline(frame.interval, frame.candles, 0, frame.window_start)


def close_times_ms(opens_ms: Integers, interval: Interval) -> Integers:
    """Return when bars close that open at the times given."""
    if interval is not Interval.MONTH_1:
        return opens_ms + interval.length_ms
    months = opens_ms.astype("datetime64[ms]").astype("datetime64[M]") + np.timedelta64(1, "M")
    return months.astype("datetime64[ms]").astype(np.int64)


def bars_in(longer: Interval, shorter: Interval) -> int:
    """Return how many bars of the shorter interval one of the longer holds.

    Raises:
        IntervalUnusable: when they do not divide.
    """
    fixed = Interval.MONTH_1 not in {longer, shorter}
    if not fixed or longer.length_ms % shorter.length_ms:
        raise IntervalUnusable(f'bars of "{shorter.value}" do not make up bars of "{longer.value}"')
    return longer.length_ms // shorter.length_ms


def longer_timeline(base: Timeline, interval: Interval) -> Timeline:
    """Fold all bars into bars of a longer interval.

    A bar is known when its time is over, whether all its parts exist or not.
    """
    phase = _phase_ms(interval)
    numbers = (base.candles.open_time_ms - phase) // interval.length_ms
    firsts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    opens_ms = numbers[firsts] * interval.length_ms + phase
    folded = tuple(np.empty(len(firsts)) for _ in range(5))
    _fold(firsts, tuple(frozen(column) for column in base.candles.columns()[1:]), folded)
    return Timeline(interval, Candles.from_columns([opens_ms, *folded]), 0, 0)


def seen_from(longer: Timeline, base: Timeline, begin: int, start: int) -> Timeline:
    """Return longer bars as an expression sees them that looks at bars of the base from `begin` on.

    A bar is left out when `begin` lies inside it. Lookbacks are counted back from the last one
    closed with bar `start` of the base.
    """
    since_open = (int(base.candles.open_time_ms[begin]) - _phase_ms(longer.interval)) % (
        longer.interval.length_ms
    )
    opens_ms = int(base.candles.open_time_ms[begin]) - since_open
    lies_inside = 1 if since_open else 0
    first = int(np.searchsorted(longer.candles.open_time_ms, opens_ms)) + lies_inside
    # Bars whose time is not over when the base ends are never known; they do no harm.
    closed = close_times_ms(base.candles.open_time_ms[start : start + 1], base.interval)
    known = int(np.searchsorted(longer.closes_ms, closed[0], side="right")) - 1
    return replace(longer, first=first, origin=max(known, first))


def last_closed(longer: Timeline, base: Timeline, start: int) -> Integers:
    """Return for each bar of the base from `start` on the last longer bar closed with it, or -1."""
    return np.searchsorted(longer.closes_ms, base.closes_ms[start:], side="right") - 1


def _phase_ms(interval: Interval) -> int:
    return 4 * DAY_MS if interval is Interval.WEEK_1 else 0


@kernel
def _fold(firsts: Integers, sources: tuple[Numbers, ...], folded: tuple[Numbers, ...]) -> None:
    """Open, high, low, close and volume of runs of bars that begin at `firsts`."""
    opens, highs, lows, closes, volumes = sources
    for place in range(len(firsts)):
        begin = firsts[place]
        end = firsts[place + 1] if place + 1 < len(firsts) else len(opens)
        high, low, volume = highs[begin], lows[begin], 0.0
        for bar in range(begin, end):
            high, low = max(high, highs[bar]), min(low, lows[bar])
            volume += volumes[bar]
        folded[0][place] = opens[begin]
        folded[1][place] = high
        folded[2][place] = low
        folded[3][place] = closes[end - 1]
        folded[4][place] = volume
