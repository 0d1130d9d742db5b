"""Times as people write them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS = 0
_YEAR_10000_MS = 253_402_300_800_000
LAST_MS = 253_370_764_799_999
"""9998-12-31T23:59:59.999Z: the bar after one that opens by then can still be told as a time."""
_FINER_THAN_MS = re.compile(r"[.,]\d{3}\d*[1-9]")


def iso(time_ms: int) -> str:
    """Return ISO 8601 in UTC, "2024-01-01T00:00:00Z"; a plain number outside 1970 to 9999."""
    if not FIRST_MS <= time_ms < _YEAR_10000_MS:
        return f"{time_ms} ms"
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    digits = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def from_iso(text: str) -> int:
    """Return the ms since the epoch of ISO 8601 text; without a zone it is UTC.

    Raises:
        ValueError: the text is no such time, or not a whole number of ms.
    """
    # Python cuts digits beyond microseconds off.
    if not text.isascii() or _FINER_THAN_MS.search(text):
        raise ValueError("times are whole milliseconds")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole, rest = divmod(moment - _EPOCH, timedelta(milliseconds=1))
    if rest:
        raise ValueError("times are whole milliseconds")
    return whole
