"""Families of operations: how they treat bars without numbers, once for all.

A number that is not finite, or beyond 1e140, whose square would not stay finite in a sum, is none.
A windowed family is undefined as long as such a bar is in the window; a recursive one passes over
it as if the bar had not been, and is undefined at it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.indicators.operation import Columns, Operation, Static, Statics
from services.backtest.core.kernel import Numbers, frozen, kernel

Length = Callable[[Statics], int]
Compute = Callable[[Columns, Statics], Columns]
Flags = npt.NDArray[np.bool_]

LARGEST: Final = 1e140
MOST_BARS: Final = 100_000
RECURSIVE_LOOKBACK: Final = 4
"""A recursive operation of period n looks back on 4 n bars."""


def bars(name: str = "period", minimum: int = 1) -> Static:
    """Declare a number of bars, up to 100,000."""
    return Static(name, True, minimum, MOST_BARS)


def factor(name: str) -> Static:
    """Declare a factor above 0, up to 1,000."""
    return Static(name, False, float(np.nextafter(0.0, 1.0)), 1_000.0)


def whole(statics: Statics, place: int = 0) -> int:
    """Return a whole argument."""
    return int(statics[place])


@dataclass(frozen=True, slots=True)
class Output:
    """One operation of a family.

    Attributes:
        name: Its name.
        description: What it tells.
        undefined: Values without a number at the beginning; None: as many as its lookback.
    """

    name: str
    description: str
    undefined: Length | None = None


def windowed(
    *outputs: Output,
    lookback: Length,
    lookback_text: str,
    compute: Compute,
    columns: tuple[str, ...] = (),
    series: tuple[str, ...] = (),
    statics: tuple[Static, ...] = (),
) -> tuple[Operation, ...]:
    """Make the operations of a family that depends on the lookback's bars and its own alone.

    `compute` gets usable numbers only. What it gives is hidden where a bar had none.
    """

    def over_all(given: Columns, values: Statics) -> Columns:
        usable = _usable(given)
        with np.errstate(all="ignore"):
            if usable.all():
                return _finished(compute(given, values))
            filled = tuple(frozen(np.where(usable, column, 0.0)) for column in given)
            made = _finished(compute(filled, values))
        for column in made:
            hide(usable, lookback(values) + 1, column)
        return made

    return _operations(outputs, lookback, lookback_text, over_all, columns, series, statics)


def recursive(
    *outputs: Output,
    lookback: Length,
    lookback_text: str,
    compute: Compute,
    columns: tuple[str, ...] = (),
    series: tuple[str, ...] = (),
    statics: tuple[Static, ...] = (),
) -> tuple[Operation, ...]:
    """Make the operations of a family that carries its state from bar to bar.

    `compute` gets the bars with usable numbers, as if there were no others.
    """

    def over_usable(given: Columns, values: Statics) -> Columns:
        usable = _usable(given)
        with np.errstate(all="ignore"):
            if usable.all():
                return _finished(compute(given, values))
            made = _finished(compute(tuple(frozen(column[usable]) for column in given), values))
        return tuple(_spread(usable, column) for column in made)

    return _operations(outputs, lookback, lookback_text, over_usable, columns, series, statics)


@kernel
def hide(usable: Flags, reach: int, out: Numbers) -> None:
    """Undefine the values whose last `reach` bars hold one that is not usable."""
    hidden = 0
    for row in range(len(out)):
        if not usable[row]:
            hidden = reach
        if hidden > 0:
            out[row] = np.nan
            hidden -= 1


def _operations(
    outputs: tuple[Output, ...],
    lookback: Length,
    lookback_text: str,
    compute: Compute,
    columns: tuple[str, ...],
    series: tuple[str, ...],
    statics: tuple[Static, ...],
) -> tuple[Operation, ...]:
    return tuple(
        Operation(
            name=output.name,
            columns=columns,
            series=series,
            statics=statics,
            lookback=lookback,
            undefined=output.undefined or lookback,
            compute=compute,
            family=outputs[0].name,
            output=place,
            description=output.description,
            lookback_text=lookback_text,
        )
        for place, output in enumerate(outputs)
    )


def _usable(columns: Columns) -> Flags:
    usable: Flags = np.abs(columns[0]) <= LARGEST
    for column in columns[1:]:
        usable &= np.abs(column) <= LARGEST
    return usable


def _finished(columns: Columns) -> Columns:
    """Undefine what outgrew a double."""
    for column in columns:
        column[np.isinf(column)] = np.nan
    return columns


def _spread(usable: Flags, column: Numbers) -> Numbers:
    out = np.full(len(usable), np.nan)
    out[usable] = column
    return out
