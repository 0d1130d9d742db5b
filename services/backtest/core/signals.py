"""Signals: what a strategy wants at each close, as one byte of four flags per bar."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

from services.backtest.core.execution import Direction
from services.backtest.core.indicators.rows import Row
from services.backtest.core.kernel import Bytes, Numbers, kernel

ENTER_LONG: Final = 1
EXIT_LONG: Final = 2
ENTER_SHORT: Final = 4
EXIT_SHORT: Final = 8

BULLISH: Final = ENTER_LONG | EXIT_SHORT
BEARISH: Final = ENTER_SHORT | EXIT_LONG

_ALLOWED: Final = {
    Direction.LONG: ENTER_LONG | EXIT_LONG,
    Direction.SHORT: ENTER_SHORT | EXIT_SHORT,
    Direction.BOTH: ENTER_LONG | EXIT_LONG | ENTER_SHORT | EXIT_SHORT,
}


class Relation(enum.Enum):
    """How two rows are compared."""

    CROSSES = 1
    """One is beyond the other and was not at the bar before."""
    EXCEEDS = 2
    """One is beyond the other."""


class Rule(NamedTuple):
    """Flags raised by comparing two rows.

    Attributes:
        relation: How they are compared.
        left: The one row.
        right: The other row.
        above: Flags where `left` crosses above, or exceeds, `right`.
        below: Flags where it crosses below, or is exceeded by, `right`.
    """

    relation: Relation
    left: Row
    right: Row
    above: int
    below: int


@kernel
def _raise_crossings(left: Numbers, right: Numbers, above: int, below: int, flags: Bytes) -> None:
    """Undefined values compare false, so they never cross."""
    for bar in range(len(flags)):
        up = (left[bar] <= right[bar]) & (left[bar + 1] > right[bar + 1])
        down = (left[bar] >= right[bar]) & (left[bar + 1] < right[bar + 1])
        flags[bar] |= up * above | down * below


@kernel
def _raise_excesses(left: Numbers, right: Numbers, above: int, below: int, flags: Bytes) -> None:
    for bar in range(len(flags)):
        up = left[bar + 1] > right[bar + 1]
        down = left[bar + 1] < right[bar + 1]
        flags[bar] |= up * above | down * below


def raise_flags(rules: Sequence[Rule], direction: Direction, flags: Bytes) -> None:
    """Set the flags of every bar of the window; those of sides not allowed stay down.

    `flags` has the shape (bars,), one shorter than the rows, which begin one bar earlier.
    """
    flags.fill(0)
    allowed = _ALLOWED[direction]
    for relation, left, right, above, below in rules:
        kernel_of = _raise_crossings if relation is Relation.CROSSES else _raise_excesses
        kernel_of(left.values, right.values, above & allowed, below & allowed, flags)


def first_decision_row(rules: Sequence[Rule], window_start: int) -> int:
    """Return the first row of the window, or beyond it, at which every input is defined.

    A crossing needs the bar before as well.
    """
    first = window_start
    for relation, left, right, _, _ in rules:
        defined = max(left.defined_row, right.defined_row)
        first = max(first, defined + 1 if relation is Relation.CROSSES else defined)
    return first
