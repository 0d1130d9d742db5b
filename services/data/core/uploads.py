"""Reading what people upload: which column is which, and what their times mean. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.common.errors import AssayError, Code, Violation
from services.common.intervals import Interval
from services.data.core.moments import from_iso

UPLOAD_LIMIT_BYTES = 256 * 1024 * 1024
UNPACKED_LIMIT_BYTES = 1024 * 1024 * 1024
PIECE_LIMIT_BYTES = 1024 * 1024

SECONDS_BELOW = 100_000_000_000
"""Numeric times below this are seconds (until the year 5138), above it milliseconds."""

CANDLE_CELLS = ("open_time", "open", "high", "low", "close", "volume")
FUNDING_CELLS = ("funding_time", "funding_rate")

_TIME_SPELLINGS = (
    ("timestamp_ms", "timestamp", "time_ms", "time", "ts"),
    ("datetime", "date_time"),
    ("date",),
)
_SPELLINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "open_time": (("open_time_ms", "open_time", "opentime"), *_TIME_SPELLINGS),
    "open": (("open", "open_price", "o"),),
    "high": (("high", "high_price", "h"),),
    "low": (("low", "low_price", "l"),),
    "close": (("close", "close_price", "c"),),
    "volume": (("volume", "vol", "v"), ("base_volume", "volume_base")),
    "funding_time": (
        ("funding_time_ms", "funding_time", "fundingtime", "fundingratetimestamp"),
        ("funding_rate_timestamp",),
        *_TIME_SPELLINGS,
    ),
    "funding_rate": (("funding_rate_ratio", "funding_rate", "fundingrate"), ("rate",)),
}
"""Common spellings of each column in ranks: the first rank found in a file decides."""


class FileFormat(enum.Enum):
    """The form of a file."""

    CSV = "CSV"
    PARQUET = "Parquet"


class TimeUnit(enum.Enum):
    """The unit of numeric times; the value is its length in ms, 0 where the numbers tell."""

    TOLD = 0
    SECONDS = 1000
    MILLISECONDS = 1


@dataclass(frozen=True, slots=True)
class FilePlan:
    """How to read a file.

    Attributes:
        format: The form of the file.
        interval: Length of one bar; None for funding rates.
        time_unit: The unit of numeric times.
        columns: The file's column names by `CANDLE_CELLS` or `FUNDING_CELLS`, where given.
    """

    format: FileFormat
    interval: Interval | None
    time_unit: TimeUnit = TimeUnit.TOLD
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns wanted, the time first."""
        return FUNDING_CELLS if self.interval is None else CANDLE_CELLS


def match_columns(found: Sequence[str], plan: FilePlan) -> tuple[dict[str, int], list[Violation]]:
    """Say at which place of a file each wanted column stands, or name everything in the way."""
    places: dict[str, int] = {}
    violations = []
    for cell in plan.cells:
        given = plan.columns.get(cell)
        ranks = _SPELLINGS[cell] if given is None else ((given,),)
        for rank in ranks:
            hits = [place for place, name in enumerate(found) if _spelt(name, rank, given)]
            if len(hits) > 1:
                names = ", ".join(repr(found[place]) for place in hits)
                violations.append(
                    Violation(
                        f"header.columns.{cell}",
                        f"several columns may be meant: {names}; say which",
                    )
                )
            if hits:
                places[cell] = hits[0]
                break
        else:
            what = f"column {given!r}" if given is not None else f"column for {cell!r}"
            violations.append(
                Violation(
                    f"header.columns.{cell}", f"the file has no {what}; it has {_listed(found)}"
                )
            )
    return places, violations


def unknown_columns(plan: FilePlan) -> list[Violation]:
    """Return a violation for every given column that no such dataset has."""
    return [
        Violation("header.columns", f"{name!r} is not one of {', '.join(plan.cells)}")
        for name in sorted(plan.columns)
        if name not in plan.cells
    ]


def time_ms(text: str, unit: TimeUnit) -> int:
    """Return the time a cell means, ms since the epoch; ValueError where it means none."""
    text = text.strip()
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return time_ms_of(int(text), unit)
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", text):
        return time_ms_of(float(text), unit)
    return from_iso(text)


def time_ms_of(number: float, unit: TimeUnit) -> int:
    """Return the time a number means; ValueError where it is no whole ms of 64 bits."""
    moment = number * (unit.value or (1000 if abs(number) < SECONDS_BELOW else 1))
    # A double holds seconds of our century to 0.2 microseconds.
    if not abs(moment) < 2**63 or abs(moment - round(moment)) > 1e-3:
        raise ValueError(f"{number} is no whole number of milliseconds")
    return round(moment)


def number_of(text: str) -> float:
    """Return the double nearest to decimal text, as Python reads it; ValueError for other text."""
    if "_" in text or not text.isascii():
        raise ValueError("Python alone reads underscores and digits of other scripts")
    return float(text)


def too_large(limit_bytes: int, what: str) -> AssayError:
    """Return UPLOAD_TOO_LARGE."""
    return AssayError(
        Code.RESOURCE_EXHAUSTED,
        "UPLOAD_TOO_LARGE",
        f"the {what} is larger than {limit_bytes:,} bytes; import it in parts under other names",
        metadata={"limit_bytes": str(limit_bytes)},
    )


def _spelt(name: str, rank: Sequence[str], given: str | None) -> bool:
    if given is not None:
        return name == given
    return re.sub(r"[\s-]+", "_", name.strip().lower()) in rank


def _listed(found: Sequence[str]) -> str:
    names = ", ".join(repr(name[:40]) for name in found[:40])
    return names or "no columns"
