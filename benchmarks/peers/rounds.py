"""How the benchmark talks with a peer. Runs in the peer's environment; knows nothing of Assay.

The peer prints "ready" once it has run the grid and is warm. For every line "slice K N" it then
does the K-th of the N parts of the grid and prints the CPU seconds that took, so that parts of
both sides can take turns; at "end" it writes its results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def take_turns(work: Callable[[int, int], None], finish: Callable[[], None]) -> None:
    """Do all the work once to be warm, then parts of it when asked; finish at the end.

    `work` is given the number of a part, from 0, and how many there are.
    """
    work(0, 1)
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words == ["end"]:
            finish()
            return
        part, parts = map(int, words[1:])
        before = time.process_time()
        work(part, parts)
        print(time.process_time() - before, flush=True)


def part_of(sequence: list[T], part: int, parts: int) -> list[T]:
    """Return a part of a sequence, all of about the same length."""
    count = len(sequence)
    return sequence[part * count // parts : (part + 1) * count // parts]
