"""Tables on terminals of every width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.output import fit, grid

HEADS = ("trial", "fast_period", "total_return_ratio", "max_drawdown_ratio", "trade_count")
CELLS = ("1,234", "55", "-12.27 %", "43.01 %", "10,130")


def printed(width: int) -> str:
    """Return a table of a trial as a terminal of some width shows it."""
    table = grid(HEADS, right=HEADS)
    table.add_row(*CELLS)
    screen = io.StringIO()
    console = Console(file=screen, width=width)
    fit(table, console)
    console.print(table)
    return screen.getvalue()


def test_a_wide_terminal_has_heads_on_one_line() -> None:
    """Where there is room nothing is broken."""
    lines = printed(120).strip().splitlines()
    assert lines[0].split() == list(HEADS)
    assert len(lines) == 3


@pytest.mark.parametrize("width", [80, 60, 45])
def test_a_narrow_terminal_shows_every_number_whole(width: int) -> None:
    """Heads go on below; a number cut short would be another number."""
    shown = printed(width)
    assert all(cell in shown for cell in CELLS)
    assert "…" not in shown
    assert all(len(line) <= width for line in shown.splitlines())
