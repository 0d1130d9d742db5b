"""Durations as messages and as milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.duration_pb2 import Duration

from services.common.errors import Violation

_MOST_SECONDS: Final = 315_576_000_000
"""What a Duration can hold: ten thousand years."""


def duration_of(milliseconds: int) -> Duration:
    """Return a duration."""
    duration = Duration()
    duration.FromMilliseconds(milliseconds)
    return duration


def milliseconds_of(duration: Duration) -> int:
    """Return a duration in milliseconds, parts of one counted as a whole one."""
    return duration.seconds * 1_000 - (-duration.nanos // 1_000_000)


def duration_violations(path: str, duration: Duration) -> Iterator[Violation]:
    """Yield what makes a message no duration; its size is judged elsewhere."""
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > _MOST_SECONDS or abs(nanos) >= 10**9 or seconds * nanos < 0:
        yield Violation(path, "is not a duration")
