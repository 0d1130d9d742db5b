"""What somebody may have meant by a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

LONGEST_GUESS: Final = 100
"""Longer names are not guessed at: the search takes time with the name, seconds for a megabyte."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'fast_period'?", to be put behind an error; "" for nothing near."""
    if len(name) > LONGEST_GUESS:
        return ""
    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
