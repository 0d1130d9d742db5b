"""Columns of files as times and numbers: whole columns at once, single cells where that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.common.errors import Violation
from services.data.core.uploads import SECONDS_BELOW, TimeUnit, number_of, time_ms, time_ms_of

T = TypeVar("T", int, float)

_PLAIN_BELOW = 2**53
"""Times below this can be told in ms by 64 bits whatever their unit."""
_SPELT = (
    pa.types.is_decimal,
    pa.types.is_temporal,
    pa.types.is_dictionary,
    pa.types.is_large_string,
    pa.types.is_string_view,
)
"""Types of cells that are read as text."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column read.

    Attributes:
        values: Times as int64 or numbers as float64; 0 and NaN in cells that cannot be read.
        unread: True where the cell could not be read.
        violations: One violation that counts such cells; none where there are none.
    """

    values: npt.NDArray[Any]
    unread: npt.NDArray[np.bool_]
    violations: tuple[Violation, ...] = ()


def numbers(column: Any, field: str) -> Column:
    """Read a column of numbers, each the double nearest to what the file says."""
    column = _as_text(column)
    try:
        values = pc.cast(column, pa.float64())
    except pa.ArrowException:
        return _cell_by_cell(column, field, lambda cell: number_of(str(cell)), np.nan, "number")
    cells = pc.fill_null(values, np.nan).to_numpy()
    return _whole(np.array(cells, dtype=np.float64))


def times(column: Any, unit: TimeUnit, field: str) -> Column:
    """Read a column of times: numbers of the unit, ISO 8601 text, or Arrow's own times."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        try:
            zone = getattr(column.type, "tz", None)
            stamps = pc.cast(pc.cast(column, pa.timestamp("ms", tz=zone)), pa.int64())
        except pa.ArrowException:
            pass  # a cell is no whole ms; the text of it will be told
        else:
            column, unit = stamps, TimeUnit.MILLISECONDS
    column = _as_text(column)
    whole = _integer_times(column, unit)
    if whole is not None:
        return _whole(whole)
    return _cell_by_cell(column, field, lambda cell: _moment(cell, unit), 0, "time")


def _integer_times(column: Any, unit: TimeUnit) -> npt.NDArray[np.int64] | None:
    """Read a column that holds integers only; None for others."""
    if pa.types.is_floating(column.type) or column.null_count:
        return None
    text = pa.types.is_string(column.type)
    if text and pc.any(pc.match_substring(column, "x", ignore_case=True)).as_py():
        return None  # Arrow would read hexadecimal numbers
    try:
        values = np.array(pc.cast(column, pa.int64()).to_numpy(), dtype=np.int64)
    except pa.ArrowException:
        return None
    if len(values) and (values.min() < -_PLAIN_BELOW or values.max() > _PLAIN_BELOW):
        return None
    if unit is TimeUnit.TOLD:
        values[np.abs(values) < SECONDS_BELOW] *= 1000
    else:
        values *= unit.value
    return np.asarray(values, dtype=np.int64)


def _as_text(column: Any) -> Any:
    """Spell out what Arrow reads inexactly or Python not at all: decimals, dates, times of day."""
    kind = column.type
    if pa.types.is_duration(kind):
        # Arrow spells only its number, but a duration is neither a time nor a price.
        return pa.array([str(kind)] * len(column), pa.string())
    if any(told(kind) for told in _SPELT):
        return pc.cast(column, pa.string())
    return column


def _moment(cell: object, unit: TimeUnit) -> int:
    if isinstance(cell, int | float):
        return time_ms_of(cell, unit)
    return time_ms(str(cell), unit)


def _whole(values: npt.NDArray[Any]) -> Column:
    return Column(values, np.zeros(len(values), dtype=np.bool_))


def _cell_by_cell(
    column: Any, field: str, read: Callable[[object], T], blank: T, what: str
) -> Column:
    values: list[T] = []
    broken: list[int] = []
    cells = column.to_pylist()
    for place, cell in enumerate(cells):
        try:
            values.append(read(cell))
        except (ValueError, OverflowError):
            values.append(blank)
            broken.append(place)
    unread = np.zeros(len(cells), dtype=np.bool_)
    unread[broken] = True
    kind = np.int64 if what == "time" else np.float64
    found = _told(field, what, broken, cells)
    return Column(np.array(values, dtype=kind), unread, found)


def _told(field: str, what: str, broken: list[int], cells: list[Any]) -> tuple[Violation, ...]:
    if not broken:
        return ()
    count = "1 cell is" if len(broken) == 1 else f"{len(broken):,} cells are"
    first = str(cells[broken[0]])[:40]
    return (Violation(field, f"{count} no {what}, first {first!r} in row {broken[0] + 1:,}"),)
