"""What strategies give the engine: when they want to trade, and numbers that go with orders."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.backtest.core.kernel import Integers, Numbers, frozen

Planes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int32]

# Places of Signals.of.
ENTER_LONG: Final = 0
EXIT_LONG: Final = 1
ENTER_SHORT: Final = 2
EXIT_SHORT: Final = 3

# Columns of Lines.of.
STOP_LINE: Final = 0
TARGET_LINE: Final = 1
TRAIL_LINE: Final = 2
FRACTION_LINE: Final = 3
VOLATILITY_LINE: Final = 4
LINES: Final = 5


class Signals(NamedTuple):
    """What sets want at each close, as planes of bits: bar 64 w + b is bit b of word w.

    Attributes:
        planes: Conditions of every set, shape (planes, sets, words).
        of: The plane of each of enter long, exit long, enter short, exit short; -1: never.
            Sides not allowed have -1.
        firsts: Bar at whose close each set's first decision is taken, shape (sets,); bits before
            it count for nothing. Negative: the set is not run.
        places: Where sets want something seldom, the words of each that hold anything, shape (sets,
            most words). The planes are then two of zeros for one set, shape (2, 1, words).
        bits: Those words of the two planes, shape (sets, most words, 2).
        counts: How many they are, shape (sets,); shape (0,) where planes hold all sets.
    """

    planes: Planes
    of: Integers
    firsts: Integers
    places: Places = frozen(np.empty((0, 0), np.int32))
    bits: Planes = frozen(np.empty((0, 0, 2), np.uint64))
    counts: Integers = frozen(np.empty(0, np.int64))


def frozen_signals(signals: Signals) -> Signals:
    """Return signals whose arrays are read-only views."""
    planes, of, firsts, places, bits, counts = signals
    return Signals(
        frozen(planes), frozen(of), frozen(firsts), frozen(places), frozen(bits), frozen(counts)
    )


class Lines(NamedTuple):
    """Numbers that differ from bar to bar, read at the close that decides an order.

    Attributes:
        rows: Shape (rows, bars).
        of: For each set the row of its stop, target and trailing distance, share of equity and
            yearly volatility, shape (sets, LINES); -1: what its terms say. Shape (0, LINES) where
            no set has any.
    """

    rows: Numbers
    of: Integers


def no_lines() -> Lines:
    """Return lines for sets that have none."""
    return Lines(frozen(np.empty((0, 0))), frozen(np.empty((0, LINES), np.int64)))
