"""The process `assay` and `python -m cli`."""

from __future__ import annotations

import io
import sys

from cli.app import app


def main() -> None:
    """Run the command line; leaves with 0 (ok), 1 (a service said no) or 2 (bad usage)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a sign shows "?" instead of ending the command.
            stream.reconfigure(errors="replace")
    app(prog_name="assay")


if __name__ == "__main__":
    main()
