"""Fields that several requests share: names of datasets, windows, pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from assay.market.v1.candles_pb2 import CandleSnapshot, TimeWindow
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Violation, refuse
from services.common.frames_codec import ms_from_timestamp
from services.data.core.catalog import DatasetName, parse_name
from services.data.core.moments import FIRST_MS, LAST_MS
from services.data.core.reading import Wanted

T = TypeVar("T")

MOST_LOOKBACK_BARS = 1_000_000
_LARGEST_PAGE = 1_000
_MS_NANOS = 1_000_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


def dataset_name(full: str, field: str = "name") -> DatasetName:
    """Return a well-formed name; AssayError FIELD_INVALID with everything wrong about it."""
    name, violations = parse_name(full, field)
    refuse(violations)
    if name is None:
        raise AssertionError("a name without violations is a name")
    return name


def edges(window: TimeWindow, field: str) -> tuple[int | None, int | None, list[Violation]]:
    """Return start and end in ms, None where unset, and everything wrong with them."""
    found: list[Violation] = []
    start = _edge(window, "start_time", field, found)
    end = _edge(window, "end_time", field, found)
    if start is not None and end is not None and start >= end:
        found.append(Violation(field, "start_time must be earlier than end_time"))
    return start, end, found


def wanted_frame(snapshot: CandleSnapshot, field: str) -> tuple[Wanted, list[Violation]]:
    """Return which frame a snapshot means, and everything wrong with it."""
    _, found = parse_name(snapshot.dataset, f"{field}.dataset")
    start, end, wrong = edges(snapshot.window, f"{field}.window")
    found += wrong
    lookback, digest = snapshot.lookback_bar_count, snapshot.content_digest
    if not 0 <= lookback <= MOST_LOOKBACK_BARS:
        found.append(
            Violation(
                f"{field}.lookback_bar_count",
                f"{lookback} is not within 0 to {MOST_LOOKBACK_BARS:,}",
            )
        )
    if digest and not _DIGEST.fullmatch(digest):
        found.append(
            Violation(
                f"{field}.content_digest",
                f"{digest[:80]!r} is not 64 lower-case hexadecimal digits",
            )
        )
    return Wanted(snapshot.dataset, start, end, lookback, digest), found


def page(
    items: Sequence[T], key: Callable[[T], str], size: int, token: str, default_size: int
) -> tuple[Sequence[T], str]:
    """Return the wanted page of items ordered by key, and the token of the next page.

    A token holds the last key of the page before, so items that come or go between calls shift
    nothing.

    Raises:
        AssayError: FIELD_INVALID for a negative size and for a token nobody gave.
    """
    found = []
    if size < 0:
        found.append(Violation("page_size", f"{size} is negative"))
    after = _decoded(token)
    if after is None:
        found.append(Violation("page_token", "is not a token this service gave"))
    refuse(found)
    rest = [item for item in items if key(item) > after] if after else items
    limit = min(size or default_size, _LARGEST_PAGE)
    chosen = rest[:limit]
    if len(rest) <= limit:
        return chosen, ""
    return chosen, base64.urlsafe_b64encode(key(chosen[-1]).encode()).decode()


def _decoded(token: str) -> str | None:
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return None


def _edge(window: TimeWindow, name: str, field: str, found: list[Violation]) -> int | None:
    if not window.HasField(name):  # type: ignore[arg-type]
        return None
    timestamp: Timestamp = getattr(window, name)
    path = f"{field}.{name}"
    if not 0 <= timestamp.nanos < 1_000 * _MS_NANOS:
        found.append(Violation(f"{path}.nanos", f"{timestamp.nanos} is not within a second"))
        return None
    if timestamp.nanos % _MS_NANOS:
        found.append(Violation(path, "must be whole milliseconds"))
    time_ms = ms_from_timestamp(timestamp)
    if not FIRST_MS <= time_ms <= LAST_MS:
        found.append(Violation(path, "must lie in the years 1970 to 9998"))
        return None
    return time_ms
