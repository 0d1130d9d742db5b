"""The process `assay` and `python -m cli`."""

from __future__ import annotations

from cli.app import app


def main() -> None:
    """Run the command line; leaves with 0 (ok), 1 (a service said no) or 2 (bad usage)."""
    app(prog_name="assay")


if __name__ == "__main__":
    main()
