"""How the benchmark talks with a peer. Runs in the peer's environment; knows nothing of Assay.

The peer prints "ready" once it is warm. For every line "round" it then does the work and prints the
CPU seconds it took, so that rounds of both sides can take turns; at "end" it writes its results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def take_turns(work: Callable[[], None], finish: Callable[[], None]) -> None:
    """Do the work once to be warm, then whenever asked; finish at the end."""
    work()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            finish()
            return
        before = time.process_time()
        work()
        print(time.process_time() - before, flush=True)
