"""Runs a service whose wall clock jumps: `jumping_clock.py MODULE`. For tests of clocks.

SIGUSR1 puts it an hour ahead, SIGUSR2 an hour back, each from where it is.
"""

from __future__ import annotations

import runpy
import signal
import sys
import time
from typing import Any

_HOUR_NS = 3_600_000_000_000
_real_ns = time.time_ns
_ahead_ns = 0


def _jump(number: int, _frame: Any) -> None:
    global _ahead_ns  # noqa: PLW0603 - a clock is one for the process
    _ahead_ns += _HOUR_NS if number == signal.SIGUSR1 else -_HOUR_NS


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _jump)
    signal.signal(signal.SIGUSR2, _jump)
    time.time_ns = lambda: _real_ns() + _ahead_ns
    time.time = lambda: time.time_ns() / 1e9
    module = sys.argv[1]
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
