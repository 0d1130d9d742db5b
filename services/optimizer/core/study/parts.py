"""Long work on the event loop in parts, between which others get their turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

PART_TRIALS: Final = 32
"""Trials of a part: about 2 ms of counting, or 1 ms of judging."""

T = TypeVar("T")


def parts_of(whole: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield a sequence in parts of `PART_TRIALS`, the last one perhaps smaller."""
    for start in range(0, len(whole), PART_TRIALS):
        yield whole[start : start + PART_TRIALS]
