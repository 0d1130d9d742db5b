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
    greater_equal64,
    greater_equal64_scalar,
    less64,
    less64_scalar,
    less_equal64,
    less_equal64_scalar,
)
from services.backtest.core.kernel import Bytes, Integers, Numbers, kernel, merged
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


@merged
def _cross(
    flat: Numbers, left: int, right: int, whole: bool, count: int, regs: Words, up: int, down: int
) -> None:
    """Write the crossings of two rows, given by where their block begins in `flat`.

    A crossing is where the comparison holds and its opposite, equality included, held a bar before.
    """
    not_above = np.uint64(flat[left - 1] <= flat[right - 1])
    not_below = np.uint64(flat[left - 1] >= flat[right - 1])
    for word in range(count):
        one, other = left + WORD * word, right + WORD * word
        above, below = greater64(flat, one, flat, other), less64(flat, one, flat, other)
        no_above, no_below = ~above, ~below
        if not whole:
            no_above = less_equal64(flat, one, flat, other)
            no_below = greater_equal64(flat, one, flat, other)
        regs[up, word] = above & ((no_above << _ONE) | not_above)
        regs[down, word] = below & ((no_below << _ONE) | not_below)
        not_above, not_below = no_above >> _LAST, no_below >> _LAST


@merged
def _cross_level(
    flat: Numbers, left: int, level: float, whole: bool, count: int, regs: Words, up: int, down: int
) -> None:
    """Do as `_cross` with a number in place of the second row."""
    not_above = np.uint64(flat[left - 1] <= level)
    not_below = np.uint64(flat[left - 1] >= level)
    for word in range(count):
        one = left + WORD * word
        above, below = greater64_scalar(flat, one, level), less64_scalar(flat, one, level)
        no_above, no_below = ~above, ~below
        if not whole:
            no_above = less_equal64_scalar(flat, one, level)
            no_below = greater_equal64_scalar(flat, one, level)
        regs[up, word] = above & ((no_above << _ONE) | not_above)
        regs[down, word] = below & ((no_below << _ONE) | not_below)
        not_above, not_below = no_above >> _LAST, no_below >> _LAST


@merged
def _compare(
    operation: int, flat: Numbers, left: int, right: int, count: int, regs: Words, out: int
) -> None:
    for word in range(count):
        one, other = left + WORD * word, right + WORD * word
        if operation == GREATER:
            regs[out, word] = greater64(flat, one, flat, other)
        elif operation == GREATER_EQUAL:
            regs[out, word] = greater_equal64(flat, one, flat, other)
        else:
            regs[out, word] = equal64(flat, one, flat, other)


@merged
def _compare_level(
    operation: int, flat: Numbers, left: int, level: float, count: int, regs: Words, out: int
) -> None:
    for word in range(count):
        one = left + WORD * word
        if operation == GREATER:
            regs[out, word] = greater64_scalar(flat, one, level)
        elif operation == GREATER_EQUAL:
            regs[out, word] = greater_equal64_scalar(flat, one, level)
        elif operation == LESS:
            regs[out, word] = less64_scalar(flat, one, level)
        elif operation == LESS_EQUAL:
            regs[out, word] = less_equal64_scalar(flat, one, level)
        else:
            regs[out, word] = equal64_scalar(flat, one, level)


@merged
def _combine(operation: int, one: int, other: int, count: int, regs: Words, out: int) -> None:
    for word in range(count):
        if operation == AND:
            regs[out, word] = regs[one, word] & regs[other, word]
        elif operation == OR:
            regs[out, word] = regs[one, word] | regs[other, word]
        elif operation == AND_NOT:
            regs[out, word] = regs[one, word] & ~regs[other, word]
        else:
            regs[out, word] = ~regs[one, word]


@merged
def _from_first(first: int, word: int) -> np.uint64:
    """Return a mask of the bars of a word that are not before a bar."""
    before = first - WORD * word
    if before <= 0:
        return _ALL
    return _ALL << np.uint64(before) if before < WORD else _NONE


@merged
def _at_first(first: int, word: int) -> np.uint64:
    """Return a mask of one bar, empty where the word does not hold it."""
    place = first - WORD * word
    return _ONE << np.uint64(place) if 0 <= place < WORD else _NONE


@kernel
def fill_planes(  # noqa: C901, PLR0912 - one choice per operation; calls on the way would cost
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
        operands: Where in the table every row of every set begins, shape (sets, rows): the number
            of its slot times the stride.
        constants: Numbers of every set, shape (sets, constants).
        table: Its numbers, its stride and, for each slot, whether it has no holes.
        tile: First bar of the tile in the window, and bars in it, multiples of 64.
        firsts: Bar of the first decision of every set; bits before it are cleared.
        outputs: Registers of the planes wanted, shape (planes,).
        planes: Gets the words, shape (sets, planes, words of the window).
    """
    flat, stride, whole = table
    unused = 0
    for line in range(len(instructions)):
        unused = max(unused, instructions[line, 3] + 1, instructions[line, 4] + 1)
    regs = np.empty((unused + 1, _BLOCK), np.uint64)
    words = tile[1] // WORD
    for begin in range(0, words, _BLOCK):
        count = min(_BLOCK, words - begin)
        base = WORD + begin * WORD
        first_word = tile[0] // WORD + begin
        for row in range(len(operands)):
            for line in range(len(instructions)):
                operation = instructions[line, 0]
                left, right = instructions[line, 1], instructions[line, 2]
                out = instructions[line, 3]
                if operation == CROSS:
                    up = out if out >= 0 else unused
                    down = instructions[line, 4] if instructions[line, 4] >= 0 else unused
                    one = operands[row, left]
                    sound = whole[one // stride] != 0
                    if right >= 0:
                        other = operands[row, right]
                        sound = sound and whole[other // stride] != 0
                        _cross(flat, one + base, other + base, sound, count, regs, up, down)
                    else:
                        level = constants[row, -1 - right]
                        # A level that is no number is never crossed, but not by "not above".
                        sound = sound and abs(level) < np.inf
                        _cross_level(flat, one + base, level, sound, count, regs, up, down)
                elif operation <= EQUAL:
                    one = operands[row, left] + base
                    if right >= 0:
                        other = operands[row, right] + base
                        _compare(operation, flat, one, other, count, regs, out)
                    else:
                        level = constants[row, -1 - right]
                        _compare_level(operation, flat, one, level, count, regs, out)
                elif operation == CONSTANT:
                    everywhere = constants[row, -1 - left] != 0.0
                    for word in range(count):
                        regs[out, word] = _ALL if everywhere else _NONE
                elif operation == FIRST:
                    for word in range(count):
                        regs[out, word] = _at_first(firsts[row], first_word + word)
                else:
                    _combine(operation, left, right, count, regs, out)
            for place in range(len(outputs)):
                source = outputs[place]
                for word in range(count):
                    mask = _from_first(firsts[row], first_word + word)
                    planes[row, place, first_word + word] = regs[source, word] & mask
