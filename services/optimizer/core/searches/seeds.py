"""Randomness without state: every draw is a hash of the study's seed and of what it is for."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

SEED_LIMIT: Final = 2**63
"""Seeds are whole numbers from 0 up to, and without, this."""

RESOLUTION: Final = 2**128
"""Draws are whole numbers from 0 up to, and without, this."""


def draw(study_seed: int, *names: object) -> int:
    """Return a draw, uniform over the resolution, that depends on the seed and the names alone.

    Args:
        study_seed: The study's seed.
        names: What the draw is for, for example ("random", trial number, attempt, parameter).
    """
    text = "\x1f".join(map(str, (study_seed, *names)))
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")
