"""Candles and funding rates alike: columns whose first is the time. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from services.common.frames import COLUMN_NAMES, Candles, Times
from services.common.intervals import Interval
from services.data.core.ports import FundingRates, Rows

FUNDING_COLUMN_NAMES = ("funding_time_ms", "funding_rate_ratio")


def column_names(interval: Interval | None) -> tuple[str, ...]:
    """Return the names of the columns of candles, or of funding rates where interval is None."""
    return FUNDING_COLUMN_NAMES if interval is None else COLUMN_NAMES


def make(interval: Interval | None, columns: Iterable[npt.ArrayLike]) -> Rows:
    """Make candles, or funding rates where interval is None, of columns."""
    if interval is None:
        return FundingRates.from_columns(columns)
    return Candles.from_columns(columns)


def times(rows: Rows) -> Times:
    """Return the time column, int64 ms since the epoch."""
    return rows.open_time_ms if isinstance(rows, Candles) else rows.funding_time_ms


def take(rows: Rows, selection: npt.NDArray[np.generic]) -> Rows:
    """Return the rows a mask or an index array selects."""
    return type(rows).from_columns(column[selection] for column in rows.columns())


def by_time(rows: Rows) -> Rows:
    """Return the rows by rising time."""
    moments = times(rows)
    if bool((moments[1:] > moments[:-1]).all()):
        return rows
    return take(rows, np.argsort(moments, kind="stable"))


def join(first: Rows, second: Rows) -> Rows:
    """Return the rows of both by rising time; they must be of one kind and share no time."""
    pairs = zip(first.columns(), second.columns(), strict=True)
    return by_time(type(first).from_columns(np.concatenate(pair) for pair in pairs))
