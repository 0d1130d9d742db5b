"""Becomes another program that the kernel ends as soon as the process that started it is gone.

Run as a script: `tether.py PARENT_PID PROGRAM ARGUMENT...`. The tie survives exec. Elsewhere than
on Linux there is no such tie, and the program is just started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the program."""
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have gone before the tie was made.
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the command comes from the supervisor


if __name__ == "__main__":
    main(sys.argv[1:])
