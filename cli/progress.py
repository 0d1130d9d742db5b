"""How far long work is: a bar on a terminal, now and then a plain line elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_LINE_SECONDS = 5.0
"""Longest silence of plain lines while something moves."""


class Meter(Protocol):
    """Shows how much of one piece of work is done."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` is done; `note` says what else is worth knowing."""

    def say(self, text: str) -> None:
        """Show a line beside the progress."""


class _Bar:
    """A bar that moves."""

    def __init__(self, title: str, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, note="")

    def update(self, done: int, total: int, note: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total or None, note=note)

    def say(self, text: str) -> None:
        self._progress.console.print(text)


class _Lines:
    """A line at every tenth, and after a silence."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._tenth = -1
        self._said_at = time.monotonic()

    def update(self, done: int, total: int, note: str = "") -> None:
        tenth = 10 * done // total if total else 0
        now = time.monotonic()
        if tenth == self._tenth and now - self._said_at < _LINE_SECONDS:
            return
        self._tenth, self._said_at = tenth, now
        share = f"{done:,} of {total:,} {self._unit}" if total else f"{done:,} {self._unit}"
        self.say(f"{self._title}: {share}" + (f", {note}" if note else ""))

    def say(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _Silent(Meter):
    """Nothing at all, for programs."""

    def update(self, done: int, total: int, note: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass


@contextmanager
def meter(title: str, unit: str, *, silent: bool = False) -> Iterator[Meter]:
    """Show the progress of the work inside.

    Args:
        title: What is being done.
        unit: What is counted, in the plural.
        silent: Whether a program is listening that wants none of it.
    """
    if silent:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines(title, unit)
    else:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit, markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
        with Progress(*columns, console=console) as progress:
            yield _Bar(title, progress)
