"""Bit planes: the conditions of many parameter sets, 64 bars to a word."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.bits import (
    equal64,
    equal64_scalar,
    greater64,
    greater64_scalar,
    greater_and_less64,
    greater_and_less64_scalar,
    greater_equal64,
    greater_equal64_scalar,
    less64_scalar,
    less_equal64,
    less_equal64_scalar,
)
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel
from services.backtest.core.plane_code import (
    AND,
    AND_NOT,
    CONSTANT,
    CROSS,
    EQUAL,
    FIRST,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    NOT,
    OR,
)
from services.backtest.core.row_table import WORD

Words = npt.NDArray[np.uint64]

_BLOCK: Final = 8
"""Words computed at a time: the rows of many sets stay in the processor's nearest memory."""

_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


@inner
def _cross(
    flat: Numbers, left: int, right: int, whole: bool, count: int, up: Words, down: Words
) -> None:
    """Write the crossings of two rows, given by where their block begins in `flat`.

    A crossing is where the comparison holds and its opposite, equality included, held a bar before.
    """
    not_above = np.uint64(flat[left - 1] <= flat[right - 1])
    not_below = np.uint64(flat[left - 1] >= flat[right - 1])
    for word in range(count):
        above, below = greater_and_less64(flat, left + WORD * word, flat, right + WORD * word)
        if whole:
            no_above, no_below = ~above, ~below
        else:
            no_above = less_equal64(flat, left + WORD * word, flat, right + WORD * word)
            no_below = greater_equal64(flat, left + WORD * word, flat, right + WORD * word)
        up[word] = above & ((no_above << _ONE) | not_above)
        down[word] = below & ((no_below << _ONE) | not_below)
        not_above, not_below = no_above >> _LAST, no_below >> _LAST


@inner
def _cross_level(
    flat: Numbers, left: int, level: float, whole: bool, count: int, up: Words, down: Words
) -> None:
    """Do as `_cross` with a number in place of the second row."""
    whole = whole and level == level  # noqa: PLR0124 - not so for NaN
    not_above = np.uint64(flat[left - 1] <= level)
    not_below = np.uint64(flat[left - 1] >= level)
    for word in range(count):
        above, below = greater_and_less64_scalar(flat, left + WORD * word, level)
        if whole:
            no_above, no_below = ~above, ~below
        else:
            no_above = less_equal64_scalar(flat, left + WORD * word, level)
            no_below = greater_equal64_scalar(flat, left + WORD * word, level)
        up[word] = above & ((no_above << _ONE) | not_above)
        down[word] = below & ((no_below << _ONE) | not_below)
        not_above, not_below = no_above >> _LAST, no_below >> _LAST


@inner
def _compare(operation: int, flat: Numbers, left: int, right: int, count: int, out: Words) -> None:
    for word in range(count):
        one, other = left + WORD * word, right + WORD * word
        if operation == GREATER:
            out[word] = greater64(flat, one, flat, other)
        elif operation == GREATER_EQUAL:
            out[word] = greater_equal64(flat, one, flat, other)
        else:
            out[word] = equal64(flat, one, flat, other)


@inner
def _compare_level(
    operation: int, flat: Numbers, left: int, level: float, count: int, out: Words
) -> None:
    for word in range(count):
        one = left + WORD * word
        if operation == GREATER:
            out[word] = greater64_scalar(flat, one, level)
        elif operation == GREATER_EQUAL:
            out[word] = greater_equal64_scalar(flat, one, level)
        elif operation == LESS:
            out[word] = less64_scalar(flat, one, level)
        elif operation == LESS_EQUAL:
            out[word] = less_equal64_scalar(flat, one, level)
        else:
            out[word] = equal64_scalar(flat, one, level)


@inner
def _combine(operation: int, one: Words, other: Words, count: int, out: Words) -> None:
    for word in range(count):
        if operation == AND:
            out[word] = one[word] & other[word]
        elif operation == OR:
            out[word] = one[word] | other[word]
        elif operation == AND_NOT:
            out[word] = one[word] & ~other[word]
        else:
            out[word] = ~one[word]


@inner
def _mark(bar: int, count: int, out: Words) -> None:
    """Set the bit of one bar, counted from the block's first, and no other."""
    out[:count] = _NONE
    if 0 <= bar < WORD * count:
        out[bar // WORD] = _ONE << np.uint64(bar % WORD)


@inner
def _keep_from(bar: int, count: int, out: Words) -> None:
    """Clear the bits before a bar, counted from the block's first."""
    for word in range(min(count, bar // WORD)):
        out[word] = _NONE
    if 0 <= bar < WORD * count:
        out[bar // WORD] &= _ALL << np.uint64(bar % WORD)


@kernel
def fill_planes(
    instructions: Integers,
    operands: Integers,
    constants: Numbers,
    table: tuple[Numbers, int, Bytes],
    tile: tuple[int, int],
    firsts: Integers,
    outputs: Integers,
    planes: Words,
) -> None:
    """Write the words of one tile into the planes of many sets.

    Args:
        instructions: As in `PlaneCode`, shape (instructions, 5).
        operands: Offset in the table of every row of every set, shape (sets, rows); the number of
            its slot times the stride.
        constants: Numbers of every set, shape (sets, constants).
        table: Its numbers, its stride and, for each slot, whether it has no holes.
        tile: First bar of the tile in the window, and bars in it, multiples of 64.
        firsts: Bar of the first decision of every set; bits before it are cleared.
        outputs: Registers of the planes wanted, shape (planes,).
        planes: Gets the words, shape (sets, planes, words of the window).
    """
    flat, stride, whole = table
    registers = np.empty(
        (np.max(instructions[:, 3:]) + 1 if len(instructions) else 0, _BLOCK), np.uint64
    )
    unused = np.empty(_BLOCK, np.uint64)
    for begin in range(0, tile[1] // WORD, _BLOCK):
        count = min(_BLOCK, tile[1] // WORD - begin)
        base = WORD + begin * WORD
        first_word = tile[0] // WORD + begin
        for row in range(len(operands)):
            for line in instructions:
                operation, left, right = line[0], line[1], line[2]
                if operation == CROSS:
                    up = registers[line[3]] if line[3] >= 0 else unused
                    down = registers[line[4]] if line[4] >= 0 else unused
                    one = operands[row, left]
                    sound = whole[one // stride] != 0
                    if right >= 0:
                        other = operands[row, right]
                        sound = sound and whole[other // stride] != 0
                        _cross(flat, one + base, other + base, sound, count, up, down)
                    else:
                        level = constants[row, -1 - right]
                        _cross_level(flat, one + base, level, sound, count, up, down)
                elif operation <= EQUAL:
                    one, out = operands[row, left] + base, registers[line[3]]
                    if right >= 0:
                        _compare(operation, flat, one, operands[row, right] + base, count, out)
                    else:
                        level = constants[row, -1 - right]
                        _compare_level(operation, flat, one, level, count, out)
                elif operation == CONSTANT:
                    everywhere = constants[row, -1 - left] != 0.0
                    registers[line[3], :count] = _ALL if everywhere else _NONE
                elif operation == FIRST:
                    _mark(firsts[row] - first_word * WORD, count, registers[line[3]])
                else:
                    _combine(
                        operation, registers[left], registers[right], count, registers[line[3]]
                    )
            for place in range(len(outputs)):
                out = planes[row, place, first_word : first_word + count]
                out[:] = registers[outputs[place], :count]
                _keep_from(firsts[row] - first_word * WORD, count, out)
