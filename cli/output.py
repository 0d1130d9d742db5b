"""What goes to stdout: tables for people, protobuf JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_PIPED_WIDTH = 200
"""Columns for tables that go to a file or a pipe, where nothing says how wide a line may be."""


def emit_json(message: Message) -> None:
    """Print one message as indented JSON."""
    typer.echo(MessageToJson(message, preserving_proto_field_name=True))


def emit_json_line(message: Message) -> None:
    """Print one message of a stream as JSON on one line."""
    typer.echo(MessageToJson(message, preserving_proto_field_name=True, indent=None))


def emit(text: str = "") -> None:
    """Print a line."""
    typer.echo(text)


def emit_table(table: Table) -> None:
    """Print a table; without colour where stdout is not a terminal."""
    terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout,
        width=None if terminal else _PIPED_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
    )
    fit(table, console)
    with console.capture() as captured:
        console.print(table)
    # Padding is for the eye: in a file it is noise, and so are empty lines around a table.
    lines = captured.get().rstrip().splitlines()
    typer.echo("\n".join(line.rstrip() for line in lines).lstrip("\n") + "\n")


def fit(table: Table, console: Console) -> None:
    """Let columns share too little room without losing a digit: heads and cells go on below."""
    unbound = console.options.update(width=sys.maxsize, max_width=sys.maxsize)
    if not table.columns or Measurement.get(console, unbound, table).maximum <= console.width:
        return
    table.collapse_padding = True
    for column in table.columns:
        column.header = str(column.header).replace("_", "_\n")
        column.overflow = "fold"
        column.no_wrap = False


def grid(columns: Iterable[str], *, title: str = "", right: Iterable[str] = ()) -> Table:
    """Return an empty table; the columns named in `right` are numbers."""
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    numbers = set(right)
    for column in columns:
        table.add_column(
            column, justify="right" if column in numbers else "left", no_wrap=column in numbers
        )
    return table


def facts(pairs: Iterable[tuple[str, str]], *, title: str = "") -> Table:
    """Return a table of names and what they are; pairs without a value are left out."""
    table = Table(
        box=box.SIMPLE, title=title or None, title_justify="left", show_header=False, pad_edge=False
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            table.add_row(name, value)
    return table
