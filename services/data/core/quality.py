"""Checks of rows before they are stored: every kind of violation, none mended unasked. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from services.common.errors import AssayError, Code, Violation
from services.common.frames import Candles, Times
from services.common.intervals import Interval
from services.data.core import rows as tables
from services.data.core.dataset import LISTED_GAPS, QualityReport
from services.data.core.grid import aligned, gaps_of
from services.data.core.moments import FIRST_MS, LAST_MS, iso
from services.data.core.ports import Rows

Mask = npt.NDArray[np.bool_]

_PRICES = ("open", "high", "low", "close")


class Acceptance(enum.Enum):
    """What a caller agrees to have mended; the names are the contract's."""

    GAPS = "ACCEPTANCE_GAPS"
    EQUAL_DUPLICATES = "ACCEPTANCE_EQUAL_DUPLICATES"
    OUT_OF_ORDER = "ACCEPTANCE_OUT_OF_ORDER"


@dataclass(frozen=True, slots=True)
class Upload:
    """Rows as they came, in their order, unchecked.

    Attributes:
        rows: The rows; cells that could not be read hold 0 in the time and NaN elsewhere.
        unread: True where a cell could not be read, by column name, each of shape (rows,).
        violations: What was already found wrong while reading: cells, rows of the wrong length.
    """

    rows: Rows
    unread: Mapping[str, Mask] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()

    def was_read(self, name: str) -> Mask:
        """Tell for each row whether its cell in the column could be read."""
        unread = self.unread.get(name)
        return np.ones(len(self.rows), dtype=np.bool_) if unread is None else ~unread


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows fit to be stored, by strictly rising time, and what was found in them."""

    rows: Rows
    report: QualityReport


def check(
    upload: Upload, interval: Interval | None, accept: frozenset[Acceptance] = frozenset()
) -> Checked:
    """Return the rows fit to be stored.

    Args:
        upload: The rows as they came.
        interval: Length of one bar; None for funding rates, which have no grid and no gaps.
        accept: What may be mended.

    Raises:
        AssayError: CANDLES_INVALID naming every kind of violation with count and first place.
    """
    order = _order_of(upload, interval)
    path = "funding" if interval is None else "candles"
    time_field = f"{path}.{tables.column_names(interval)[0]}"
    found = [*upload.violations]
    if len(upload.rows) == 0:
        found.append(Violation(path, "there are no rows"))
    found += _places(upload, order, interval, time_field)
    found += _values(upload, path)
    found += _order(upload, order, accept, time_field)
    stored = tables.take(upload.rows, order.kept)
    report = replace(
        report_of(stored, interval),
        dropped_duplicate_count=int(order.copies.sum()),
        sorted_row_count=int(order.late.sum()),
    )
    if Acceptance.GAPS not in accept and report.gap_count:
        found.append(_gap_violation(time_field, report))
    if found:
        raise candles_invalid(found)
    return Checked(stored, report)


def candles_invalid(violations: Sequence[Violation]) -> AssayError:
    """Return CANDLES_INVALID with every violation."""
    message = "; ".join(f"{item.field}: {item.description}" for item in violations)
    return AssayError(
        Code.INVALID_ARGUMENT,
        "CANDLES_INVALID",
        f"nothing was stored: {message}",
        violations=violations,
        metadata={"violation_count": str(len(violations))},
    )


def report_of(rows: Rows, interval: Interval | None) -> QualityReport:
    """Return what can be found in rows of strictly rising, aligned time."""
    if not isinstance(rows, Candles) or interval is None:
        return QualityReport()
    gaps = gaps_of(rows.open_time_ms, interval)
    return QualityReport(
        gap_count=len(gaps),
        missing_bar_count=sum(gap.missing_bar_count for gap in gaps),
        gaps=tuple(gaps[:LISTED_GAPS]),
        zero_volume_bar_count=int(np.count_nonzero(rows.volume == 0)),
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """How the rows stand in time, as masks over the rows as they came.

    Attributes:
        outside: Readable times outside 1970 to 9998.
        off_grid: Other readable times at which no bar may open.
        late: Rows earlier than a row before them.
        copies: Rows equal to an earlier row of the same time.
        differing: Rows that differ from an earlier row of the same time.
        kept: Places of the rows left, by rising time.
    """

    outside: Mask
    off_grid: Mask
    late: Mask
    copies: Mask
    differing: Mask
    kept: Times


def _order_of(upload: Upload, interval: Interval | None) -> _Order:
    moments = tables.times(upload.rows)
    was_read = upload.was_read(tables.column_names(interval)[0])
    readable = was_read & (moments >= FIRST_MS) & (moments <= LAST_MS)
    off_grid = np.zeros(len(moments), dtype=np.bool_)
    if interval is not None:
        off_grid = readable & ~aligned(moments, interval)
    copies, differing = _copies(upload.rows, readable)
    # Gaps are counted along the grid: a row beside it would make nonsense of them.
    left = np.flatnonzero(readable & ~copies & ~differing & ~off_grid)
    return _Order(
        outside=was_read & ~readable,
        off_grid=off_grid,
        late=readable & _behind(moments, readable),
        copies=copies,
        differing=differing,
        kept=left[np.argsort(moments[left], kind="stable")],
    )


def _places(upload: Upload, order: _Order, interval: Interval | None, path: str) -> list[Violation]:
    """Violations of single times: outside the calendar, off the interval's grid."""
    moments = tables.times(upload.rows)
    found = _told(path, "outside the years 1970 to 9998", order.outside, moments)
    if interval is not None:
        found += _told(path, f"not on the grid of {interval.value} bars", order.off_grid, moments)
    return found


def _order(
    upload: Upload, order: _Order, accept: frozenset[Acceptance], path: str
) -> list[Violation]:
    """Violations of rows against each other, apart from what is accepted."""
    moments = tables.times(upload.rows)
    found = []
    if Acceptance.OUT_OF_ORDER not in accept:
        remedy = "ACCEPTANCE_OUT_OF_ORDER sorts"
        found += _told(path, "earlier than a row before", order.late, moments, remedy)
    if Acceptance.EQUAL_DUPLICATES not in accept:
        what, remedy = "equal to a row before of the same time", "ACCEPTANCE_EQUAL_DUPLICATES"
        found += _told(path, what, order.copies, moments, f"{remedy} stores one")
    what = "different from a row before of the same time"
    return found + _told(path, what, order.differing, moments)


def _values(upload: Upload, path: str) -> list[Violation]:
    """Violations of single rows: numbers that are no prices, and highs below lows."""
    found = []
    rows, moments = upload.rows, tables.times(upload.rows)
    if not isinstance(rows, Candles):
        name = "funding_rate_ratio"
        infinite = upload.was_read(name) & ~np.isfinite(rows.funding_rate_ratio)
        return _told(f"{path}.{name}", "not a finite number", infinite, moments)
    for name in (*_PRICES, "volume"):
        column = getattr(rows, name)
        finite = np.isfinite(column)
        infinite = upload.was_read(name) & ~finite
        found += _told(f"{path}.{name}", "not a finite number", infinite, moments)
        if name == "volume":
            found += _told(f"{path}.{name}", "negative", finite & (column < 0), moments)
        else:
            found += _told(f"{path}.{name}", "not above zero", finite & (column <= 0), moments)
    highest = np.maximum(rows.open, rows.close)
    lowest = np.minimum(rows.open, rows.close)
    found += _told(f"{path}.high", "below low", rows.high < rows.low, moments)
    found += _told(f"{path}.high", "below open or close", rows.high < highest, moments)
    found += _told(f"{path}.low", "above open or close", rows.low > lowest, moments)
    return found


def _behind(moments: Times, readable: Mask) -> Mask:
    """Rows whose time is earlier than that of some readable row before them."""
    known = np.where(readable, moments, np.iinfo(np.int64).min)
    return np.asarray(moments < np.maximum.accumulate(known)) if len(moments) else readable


def _copies(rows: Rows, readable: Mask) -> tuple[Mask, Mask]:
    """Rows that repeat the time of an earlier row: with equal values, and with others."""
    moments = tables.times(rows)
    order = np.flatnonzero(readable)[np.argsort(moments[readable], kind="stable")]
    ranked = moments[order]
    repeats = np.flatnonzero(ranked[1:] == ranked[:-1]) + 1
    copies = np.zeros(len(rows), dtype=np.bool_)
    differing = np.zeros(len(rows), dtype=np.bool_)
    firsts = order[np.searchsorted(ranked, ranked[repeats], side="left")]
    others = order[repeats]
    equal = np.ones(len(repeats), dtype=np.bool_)
    for column in rows.columns()[1:]:
        equal &= column[firsts] == column[others]
    copies[others[equal]] = True
    differing[others[~equal]] = True
    return copies, differing


def _told(path: str, what: str, places: Mask, moments: Times, remedy: str = "") -> list[Violation]:
    """Return one violation that counts the marked rows and shows the first; none for no rows."""
    count = int(np.count_nonzero(places))
    if not count:
        return []
    first = int(np.argmax(places))
    rows = "1 row is" if count == 1 else f"{count:,} rows are"
    where = f"first row {first + 1:,} ({iso(int(moments[first]))})"
    return [Violation(path, "; ".join(filter(None, (f"{rows} {what}, {where}", remedy))))]


def _gap_violation(path: str, report: QualityReport) -> Violation:
    first = report.gaps[0]
    gaps = "1 gap lacks" if report.gap_count == 1 else f"{report.gap_count:,} gaps lack"
    return Violation(
        path,
        f"{gaps} {report.missing_bar_count:,} bars, first {first.missing_bar_count:,} "
        f"from {iso(first.start_ms)}; ACCEPTANCE_GAPS takes them as they are",
    )
