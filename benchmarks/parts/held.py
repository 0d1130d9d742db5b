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

        The growth is the slope of a straight line through all samples after the tenth.
        """
        first, last = self.samples[0], self.samples[-1]
        until = first.at_seconds + (last.at_seconds - first.at_seconds) * _WARM_UP_SHARE
        later = [one for one in self.samples if one.at_seconds >= until]
        places = {"start": first, "warm": later[0], "end": last}
        found = {f"rss_mb_{place}": one.rss_mb for place, one in places.items()}
        found |= {f"files_{place}": float(one.files) for place, one in places.items()}
        found |= {f"threads_{place}": float(one.threads) for place, one in places.items()}
        if len(later) > 2:
            hours = np.array([one.at_seconds for one in later]) / 3600
            rss = np.array([one.rss_mb for one in later])
            found["rss_mb_per_hour"] = float(np.polyfit(hours - hours[0], rss, 1)[0])
        return found
