"""What processes hold while they run: memory, files and threads, sampled and judged (Linux)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

_COUNTS: Final = re.compile(r"^(\w+):\s+(\d+)", re.MULTILINE)
_WARM_UP_SHARE: Final = 0.1
"""The part of a run in which processes may grow: caches fill, code is loaded."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process.

    Attributes:
        at_seconds: When, on the monotonic clock.
        rss_mb: Resident memory in MiB.
        files: Open file descriptors.
        threads: Threads.
    """

    at_seconds: float
    rss_mb: float
    files: int
    threads: int


def sampled(pid: int) -> Sample:
    """Look at a process.

    Raises:
        OSError: it is not there.
    """
    home = Path(f"/proc/{pid}")
    status = (home / "status").read_text()
    found = {name: int(value) for name, value in _COUNTS.findall(status)}
    files = sum(1 for _ in (home / "fd").iterdir())
    return Sample(time.monotonic(), found["VmRSS"] / 1024, files, found["Threads"])


@dataclass(slots=True)
class Held:
    """The samples of one process, by time."""

    samples: list[Sample] = field(default_factory=list)

    def look(self, pid: int) -> None:
        """Add a sample."""
        self.samples.append(sampled(pid))

    def told(self) -> dict[str, float]:
        """Return start, after a tenth and end of everything, and how memory grew after the tenth.

        The growth is the slope of a straight line through all samples after the tenth, and through
        those of the second half: caches that are still filling make the first the larger one.
        """
        first, last = self.samples[0], self.samples[-1]
        until = first.at_seconds + (last.at_seconds - first.at_seconds) * _WARM_UP_SHARE
        later = [one for one in self.samples if one.at_seconds >= until]
        places = {"start": first, "warm": later[0], "end": last}
        found = {f"rss_mb_{place}": one.rss_mb for place, one in places.items()}
        found |= {f"files_{place}": float(one.files) for place, one in places.items()}
        found |= {f"threads_{place}": float(one.threads) for place, one in places.items()}
        half = (first.at_seconds + last.at_seconds) / 2
        found["rss_mb_per_hour"] = _slope(later)
        found["rss_mb_per_hour_second_half"] = _slope(
            [one for one in later if one.at_seconds >= half]
        )
        return found


def _slope(samples: list[Sample]) -> float:
    """Return how fast memory grew, MiB an hour: a straight line through the samples."""
    if len(samples) < 3:
        return 0.0
    hours = np.array([one.at_seconds - samples[0].at_seconds for one in samples]) / 3600
    return float(np.polyfit(hours, [one.rss_mb for one in samples], 1)[0])
