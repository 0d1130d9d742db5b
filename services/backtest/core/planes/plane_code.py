"""Conditions of a program as a short list of operations on words of 64 bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.backtest.core.expression.program import Program
from services.backtest.core.kernel import Integers

# Operations. The columns of an instruction are the operation, two operands, the register of the
# result, and that of the second result or -1; operands are rows and constants here, ...
RISE: Final = 0
"""The left row crosses above the right one; second result: the right one above the left."""
FALL: Final = 1
"""The left row crosses below the right constant."""
GREATER: Final = 2
GREATER_EQUAL: Final = 3
LESS: Final = 4
"""With a constant on the right, like the next."""
LESS_EQUAL: Final = 5
EQUAL: Final = 6
CONSTANT: Final = 7
"""Every bar where the left constant is not 0."""
FIRST: Final = 8
"""The bar of the first decision."""
# ... and registers here.
AND: Final = 9
OR: Final = 10
AND_NOT: Final = 11
NOT: Final = 12

SECOND: Final = 4
"""Column of the register of the second result."""

_COMPARISONS: Final = {
    "less": LESS,
    "less_equal": LESS_EQUAL,
    "greater": GREATER,
    "greater_equal": GREATER_EQUAL,
    "equal": EQUAL,
}
_JOINED: Final = {"not": NOT, "and": AND, "or": OR}
_MIRRORED: Final = {
    LESS: GREATER,
    LESS_EQUAL: GREATER_EQUAL,
    GREATER: LESS,
    GREATER_EQUAL: LESS_EQUAL,
    EQUAL: EQUAL,
}
_HALF: Final = -1
"""Place of the number that conditions computed bar by bar are compared with."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row an instruction reads.

    Attributes:
        place: Its node.
        above: Bars before the bar decided at that are read too: 1 for a crossing.
    """

    place: int
    above: int


@dataclass(frozen=True, slots=True, eq=False)
class PlaneCode:
    """What a kernel does for every set of a program.

    A row is named by its place in `rows`, a constant by -1 less its place in `constants`.

    Attributes:
        instructions: int64, shape (instructions, 5).
        rows: Rows the instructions read.
        constants: Static nodes they read; None stands for one half.
        planes: The first so many registers are what is asked for, each once.
        outputs: For each condition asked for, its register.
    """

    instructions: Integers
    rows: tuple[Wanted, ...]
    constants: tuple[int | None, ...]
    planes: int
    outputs: tuple[int, ...]


@dataclass(slots=True)
class _Writer:
    """Instructions as they are written, each once."""

    program: Program
    lines: list[list[int]] = field(default_factory=list)
    rows: dict[Wanted, int] = field(default_factory=dict)
    constants: dict[int, int] = field(default_factory=dict)
    known: dict[tuple[int, ...], int] = field(default_factory=dict)

    def emit(self, operation: int, left: int, right: int) -> int:
        """Return the register of an operation's result, written when not known."""
        key = (operation, left, right)
        if key not in self.known:
            self.known[key] = len(self.lines)
            self.lines.append([operation, left, right, self.known[key]])
        return self.known[key]

    def operand(self, place: int, above: int) -> int:
        """Return the number of a row, or that of a constant."""
        if place == _HALF or self.program.nodes[place].static:
            return -1 - self.constants.setdefault(place, len(self.constants))
        wanted = Wanted(place, above)
        return self.rows.setdefault(wanted, len(self.rows))


def plane_code(program: Program, conditions: Sequence[int]) -> PlaneCode:
    """Return the instructions that give conditions of a program, places without `choose`.

    Every node is visited once, those it works on first, whatever their number.
    """
    writer = _Writer(program)
    registers: dict[int, int] = {}
    for place in _needed(program, conditions):
        registers[place] = _write(writer, place, registers)
    wanted = [registers[place] for place in conditions]
    order = dict.fromkeys([*wanted, *range(len(writer.lines))])
    moved = {register: number for number, register in enumerate(order)}
    return PlaneCode(
        instructions=np.array(_paired(writer.lines, moved), np.int64).reshape(-1, 5),
        rows=tuple(writer.rows),
        constants=tuple(None if place == _HALF else place for place in writer.constants),
        planes=len(set(wanted)),
        outputs=tuple(moved[register] for register in wanted),
    )


def _paired(lines: Sequence[Sequence[int]], moved: Mapping[int, int]) -> list[list[int]]:
    """Return the instructions with registers renamed, and opposite crossings made one."""
    rises: dict[tuple[int, int], list[int]] = {}
    found = []
    for operation, left, right, register in lines:
        if operation == RISE and (right, left) in rises:
            rises[right, left][4] = moved[register]
            continue
        if operation >= AND:
            left, right = moved[left], moved.get(right, 0)  # noqa: PLW2901 - registers too
        line = [operation, left, right, moved[register], -1]
        if operation == RISE:
            rises[left, right] = line
        found.append(line)
    return found


def _needed(program: Program, conditions: Sequence[int]) -> list[int]:
    """Return the conditions and those they are made of by and, or, not: lowest place first."""
    seen = set(conditions)
    open_places = list(seen)
    while open_places:
        node = program.nodes[open_places.pop()]
        if node.operation in {"and", "or", "not"} and not node.static:
            fresh = [below for below in node.inputs if below not in seen]
            seen.update(fresh)
            open_places += fresh
    return sorted(seen)


def _write(writer: _Writer, place: int, registers: dict[int, int]) -> int:
    node = writer.program.nodes[place]
    if node.static:
        return writer.emit(CONSTANT, writer.operand(place, 0), 0)
    if node.operation == "first_decision":
        return writer.emit(FIRST, 0, 0)
    if node.operation in _JOINED:
        joined = [registers[below] for below in node.inputs]
        return writer.emit(_JOINED[node.operation], joined[0], joined[-1])
    if node.operation in {"crosses_above", "crosses_below"}:
        left, right = (writer.operand(below, 1) for below in node.inputs)
        return _crossing(writer, node.operation, left, right)
    if node.operation in _COMPARISONS or node.operation == "not_equal":
        left, right = (writer.operand(below, 0) for below in node.inputs)
        return _comparison(writer, node.operation, left, right)
    return writer.emit(GREATER, writer.operand(place, 0), writer.operand(_HALF, 0))


def _crossing(writer: _Writer, operation: str, left: int, right: int) -> int:
    if left < 0 and right < 0:
        # Numbers that never change never cross.
        return writer.emit(AND_NOT, *[writer.emit(CONSTANT, left, 0)] * 2)
    if operation == "crosses_below":
        left, right = right, left
    # A constant stands on the right: it rises above a row where the row falls below it.
    return writer.emit(FALL, right, left) if left < 0 else writer.emit(RISE, left, right)


def _comparison(writer: _Writer, operation: str, left: int, right: int) -> int:
    if operation == "not_equal":
        # Undefined values compare false, so this is not the opposite of "equal".
        less = _comparison(writer, "less", left, right)
        return writer.emit(OR, less, _comparison(writer, "greater", left, right))
    code = _COMPARISONS[operation]
    if left < 0 or (right >= 0 and code in {LESS, LESS_EQUAL}):
        code, left, right = _MIRRORED[code], right, left
    return writer.emit(code, left, right)
