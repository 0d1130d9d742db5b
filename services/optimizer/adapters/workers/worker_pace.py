"""How many sets to send at once, and since when no worker answers: what the pool remembers."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

TARGET_SECONDS = 0.02
"""Work per call: enough that the call itself costs little, short enough to spread and to repeat."""

FIRST_SET_COUNT = 16
MOST_SET_COUNT = 512


class Pace:
    """Sizes the calls of one study by what its sets cost. Never changes a result."""

    def __init__(self) -> None:
        self._seconds_per_set: float | None = None

    @property
    def set_count(self) -> int:
        """Sets for the next call."""
        if self._seconds_per_set is None:
            return FIRST_SET_COUNT
        wanted = round(TARGET_SECONDS / max(self._seconds_per_set, 1e-9))
        return min(max(wanted, 1), MOST_SET_COUNT)

    def learn(self, set_count: int, compute_seconds: float) -> None:
        """Take into account what a worker says that a call cost, without its waiting."""
        self._seconds_per_set = compute_seconds / set_count


class OutageLog:
    """Writes one line when work stops for want of workers or data, and one when it goes on."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._over = float("-inf")

    def failed(self, begun: float, now: float, reason: str) -> None:
        """Note a call that failed; it began before the last outage ended: an old story."""
        if self._since is None and begun > self._over:
            self._since = now
            logger.warning("workers.waiting", extra={"reason": reason})

    def answered(self, now: float) -> None:
        """Note a call that was answered."""
        if self._since is not None:
            logger.info("workers.back", extra={"waited_seconds": round(now - self._since, 1)})
            self._since = None
            self._over = now
