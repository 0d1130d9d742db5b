"""Where a kernel reads a row of a long window: its numbers, and the extremes of every 64 bars."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.kernel import Numbers, frozen, inner, kernel
from services.backtest.core.unowned import unowned

WORD_BARS: Final = 64
"""Bars whose extremes are kept: those of a word."""

_LANES: Final = 8


class Place(NamedTuple):
    """How the numbers of a row give its values in a window.

    The value at a bar of the window is numbers[first + bar], or with a period the mean
    (numbers[first + bar + 1] - numbers[first + bar + 1 - period]) / divisor.

    Attributes:
        first: Place of the window's first bar.
        period: Bars of a mean; 0: the numbers are the values.
        defined: Bar of the window with the first value; negative when there are some before it.
        divisor: Of the means.
    """

    first: int
    period: int
    defined: int
    divisor: float


class Reading(NamedTuple):
    """A row as a kernel reads it.

    Attributes:
        numbers: The values, or the running sums they are means of, read-only.
        place: How the one become the other.
        lows: The lowest value of every 64 bars, shape (words,); -inf where one may be missing.
        highs: The highest ones; inf there.
    """

    numbers: Numbers
    place: Place
    lows: Numbers
    highs: Numbers


def reading_bytes(bar_count: int) -> int:
    """Return about what the extremes of so many bars take."""
    return bar_count * 2 * 8 // WORD_BARS


def reading_of(numbers: Numbers, place: Place, bar_count: int) -> Reading:
    """Return the reading of a row over a window of so many bars.

    There are words for whole blocks of 64 words.
    """
    words = -(-bar_count // WORD_BARS**2) * WORD_BARS
    lows, highs = np.full(words, -np.inf), np.full(words, np.inf)
    _find_extremes(frozen(numbers), place, bar_count, lows, highs)
    return Reading(frozen(numbers), place, frozen(lows), frozen(highs))


@inner
def read_word(numbers: Numbers, place: Place, bar: int, bars: int, out: Numbers) -> None:
    """Set out[k] to the value at bar + k of the window, k from 0 to 63; NaN where there is none."""
    if place.defined <= bar <= bars - WORD_BARS:
        _read_whole(numbers, place, bar, out)
        return
    for at in range(WORD_BARS):
        out[at] = np.nan
        if place.defined <= bar + at < bars:
            out[at] = _value(numbers, place, bar + at)


@inner
def _value(numbers: Numbers, place: Place, bar: int) -> float:
    at = place.first + bar
    if place.period == 0:
        return float(numbers[at])
    return float((numbers[at + 1] - numbers[at + 1 - place.period]) / place.divisor)


@inner
def _read_whole(numbers: Numbers, place: Place, bar: int, out: Numbers) -> None:
    """Read a word with a value at every bar: in loops so plain that they become vectors."""
    start, divisor = place.first + bar, place.divisor
    if place.period == 0:
        for at in range(WORD_BARS):
            out[at] = numbers[start + at]
        return
    end, begin = start + 1, start + 1 - place.period
    for at in range(WORD_BARS):
        out[at] = (numbers[end + at] - numbers[begin + at]) / divisor


@kernel
def _find_extremes(
    numbers: Numbers, place: Place, bars: int, lows: Numbers, highs: Numbers
) -> None:
    """Find the extremes of words that lie in the window and have a value at every bar.

    Divided by the same number, the extreme sum is the extreme mean: division rounds, but never
    changes an order.
    """
    first, period, defined, divisor = place
    own = unowned(numbers)
    sums = np.empty(WORD_BARS)
    least, most = np.empty(_LANES), np.empty(_LANES)
    for word in range(max(0, -(-defined // WORD_BARS)), bars // WORD_BARS):
        start = first + word * WORD_BARS
        holes = 0
        if period == 0:
            for at in range(WORD_BARS):
                sums[at] = own[start + at]
                holes += sums[at] != sums[at]
        else:
            for at in range(WORD_BARS):
                sums[at] = own[start + at + 1] - own[start + at + 1 - period]
        for lane in range(_LANES):
            least[lane] = most[lane] = sums[lane]
        for at in range(_LANES, WORD_BARS, _LANES):
            for lane in range(_LANES):
                value = sums[at + lane]
                least[lane] = value if value < least[lane] else least[lane]  # noqa: FURB136 - no NaN
                most[lane] = value if value > most[lane] else most[lane]  # noqa: FURB136 - the same
        if holes == 0:
            lows[word] = least.min() / divisor
            highs[word] = most.max() / divisor
