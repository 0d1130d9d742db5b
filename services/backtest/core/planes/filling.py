"""Bit planes: the conditions of many parameter sets, 64 bars to a word."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel
from services.backtest.core.planes.bits import (
    equal64,
    equal64_scalar,
    greater64,
    greater64_scalar,
    greater_equal64,
    greater_equal64_scalar,
    less64_scalar,
    less_equal64_scalar,
)
from services.backtest.core.planes.crossings import Words, cross_level, rise, turn
from services.backtest.core.planes.levels import Levels
from services.backtest.core.planes.plane_code import (
    AND,
    AND_NOT,
    CONSTANT,
    FALL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    OR,
    RISE,
)
from services.backtest.core.planes.row_table import WORD

_BLOCK: Final = 8
"""Words computed at a time: the rows of many sets stay in the processor's nearest memory."""

_ONE: Final = np.uint64(1)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)

# Every function that follows writes `count` words of one register, see `crossings`.


@inner
def _compare(
    operation: int,
    flat: Numbers,
    rows: tuple[Integers, Integers],
    base: int,
    count: int,
    out: Words,
    to: int,
) -> None:
    lefts, rights = rows
    for row in range(len(lefts)):
        left, right = lefts[row] + base, rights[row] + base
        for word in range(count):
            if operation == GREATER:
                found = greater64(flat, left, flat, right)
            elif operation == GREATER_EQUAL:
                found = greater_equal64(flat, left, flat, right)
            else:
                found = equal64(flat, left, flat, right)
            out[np.uint64(row), np.uint64(to + word)] = found
            left += WORD
            right += WORD


@inner
def _compare_level(
    operation: int,
    flat: Numbers,
    lefts: Integers,
    base: int,
    levels: Numbers,
    count: int,
    out: Words,
    to: int,
) -> None:
    for row in range(len(lefts)):
        left, level = lefts[row] + base, levels[row]
        for word in range(count):
            if operation == GREATER:
                found = greater64_scalar(flat, left, level)
            elif operation == GREATER_EQUAL:
                found = greater_equal64_scalar(flat, left, level)
            elif operation == LESS:
                found = less64_scalar(flat, left, level)
            elif operation == LESS_EQUAL:
                found = less_equal64_scalar(flat, left, level)
            else:
                found = equal64_scalar(flat, left, level)
            out[np.uint64(row), np.uint64(to + word)] = found
            left += WORD


@inner
def _combine(
    operation: int,
    one: tuple[Words, int],
    other: tuple[Words, int],
    count: int,
    out: Words,
    to: int,
) -> None:
    """Join two registers, each given with the word it begins at."""
    ones, others = one[0], other[0]
    for row in range(len(out)):
        for word in range(count):
            left, right = ones[row, one[1] + word], others[row, other[1] + word]
            if operation == AND:
                out[row, to + word] = left & right
            elif operation == OR:
                out[row, to + word] = left | right
            elif operation == AND_NOT:
                out[row, to + word] = left & ~right
            else:
                out[row, to + word] = ~left


@inner
def _mark(
    everywhere: bool, levels: Numbers, firsts: Integers, word: int, count: int, out: Words, to: int
) -> None:
    """Set every bar of the sets whose number is not 0, or the bar of the first decision."""
    for row in range(len(out)):
        for place in range(count):
            if everywhere:
                out[row, to + place] = _ALL if levels[row] != 0.0 else _NONE
                continue
            bar = firsts[row] - WORD * (word + place)
            out[row, to + place] = _ONE << np.uint64(bar) if 0 <= bar < WORD else _NONE


@inner
def _clear_before(firsts: Integers, begin: int, end: int, planes: Words) -> None:
    """Clear the bits before the first decision in words from begin to end."""
    for row in range(len(firsts)):
        for word in range(begin, min(end, firsts[row] // WORD + 1)):
            before = firsts[row] - WORD * word
            mask = _ALL << np.uint64(before) if before < WORD else _NONE
            for plane in range(planes.shape[0]):
                planes[plane, row, word] &= mask


@kernel
def fill_planes(
    instructions: Integers,
    starts: Integers,
    constants: Numbers,
    whole: Bytes,
    flat: Numbers,
    levels: Levels,
    tile: tuple[int, int],
    firsts: Integers,
    planes: Words,
) -> None:
    """Write the words of one tile into the planes of many sets.

    Args:
        instructions: As in `PlaneCode`, shape (instructions, 5).
        starts: Where in `flat` the slot of every row begins for every set, shape (rows, sets).
        constants: Numbers of every set, shape (constants, sets).
        whole: Whether every row of every set is without holes, shape (rows, sets).
        flat: The row table: a word's worth of columns, the last of which is the bar before the
            tile, then the tile.
        levels: Levels of the rows at the same places, see `fill_levels`; empty if there are none.
        tile: First bar of the tile in the window, and bars in it, multiples of 64.
        firsts: Bar of the first decision of every set; bits before it are cleared.
        planes: Gets the words of the code's first registers, shape (planes, sets, words of the
            window).
    """
    wanted, most = len(planes), 0
    for number in range(len(instructions)):
        most = max(most, instructions[number, 3] + 1, instructions[number, 4] + 1)
    scratch = np.empty((max(0, most - wanted), len(firsts), _BLOCK), np.uint64)
    words, start = tile[1] // WORD, tile[0] // WORD
    for begin in range(0, words, _BLOCK):
        count, base, word = min(_BLOCK, words - begin), WORD + begin * WORD, start + begin
        for number in range(len(instructions)):
            operation, left, right, register, second = instructions[number]
            out, to = _register(planes, scratch, register, word)
            if operation >= AND:
                one = _register(planes, scratch, left, word)
                _combine(operation, one, _register(planes, scratch, right, word), count, out, to)
            elif operation >= CONSTANT:
                marks = constants[-1 - left] if operation == CONSTANT else np.empty(0)
                _mark(operation == CONSTANT, marks, firsts, word, count, out, to)
            elif right >= 0:
                rows = starts[left], starts[right]
                if second >= 0:
                    other, also = _register(planes, scratch, second, word)
                    sound = whole[left] & whole[right]
                    turn(flat, levels, rows, base, sound, count, out, other, (to, also))
                elif operation == RISE:
                    rise(flat, rows, base, whole[left] & whole[right], count, out, to)
                else:
                    _compare(operation, flat, rows, base, count, out, to)
            else:
                own, bounds = starts[left], constants[-1 - right]
                if operation in {RISE, FALL}:
                    cross_level(operation, flat, own, base, bounds, whole[left], count, out, to)
                else:
                    _compare_level(operation, flat, own, base, bounds, count, out, to)
    _clear_before(firsts, start, start + words, planes)


@inner
def _register(planes: Words, scratch: Words, register: int, word: int) -> tuple[Words, int]:
    """Return where a register is written, shape (sets, words), and from which word on."""
    if register < len(planes):
        return planes[register], word
    return scratch[register - len(planes)], 0
