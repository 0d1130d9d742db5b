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
    less64_scalar,
    less_equal64,
    less_equal64_scalar,
)
from services.backtest.core.kernel import Bytes, Integers, Numbers, inner, kernel
from services.backtest.core.plane_code import (
    AND,
    AND_NOT,
    CONSTANT,
    EQUAL,
    FALL,
    FIRST,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    OR,
    RISE,
)
from services.backtest.core.row_table import WORD

Words = npt.NDArray[np.uint64]

_BLOCK: Final = 8
"""Words computed at a time: the rows of many sets stay in the processor's nearest memory."""

_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)
_NONE: Final = np.uint64(0)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)

# Every function that follows writes `count` words of one register for all sets. `lefts` and
# `rights` tell where the block of each set's row begins in `flat`.


@inner
def _rise(
    flat: Numbers, lefts: Integers, rights: Integers, whole: Bytes, count: int, out: Words
) -> None:
    """A row crosses above another: it is above, and was at or below a bar before.

    Where neither row has holes, at or below is "not above".
    """
    for row in range(len(lefts)):
        left, right = lefts[row], rights[row]
        was_not = np.uint64(flat[left - 1] <= flat[right - 1])
        for word in range(count):
            above = greater64(flat, left, flat, right)
            is_not = ~above if whole[row] else less_equal64(flat, left, flat, right)
            out[row, word] = above & ((is_not << _ONE) | was_not)
            was_not = is_not >> _LAST
            left += WORD
            right += WORD


@inner
def _rise_above(
    flat: Numbers, lefts: Integers, levels: Numbers, whole: Bytes, count: int, out: Words
) -> None:
    """A row crosses above a number."""
    for row in range(len(lefts)):
        left, level = lefts[row], levels[row]
        sound = whole[row] and abs(level) < np.inf
        was_not = np.uint64(flat[left - 1] <= level)
        for word in range(count):
            above = greater64_scalar(flat, left, level)
            is_not = ~above if sound else less_equal64_scalar(flat, left, level)
            out[row, word] = above & ((is_not << _ONE) | was_not)
            was_not = is_not >> _LAST
            left += WORD


@inner
def _fall_below(
    flat: Numbers, lefts: Integers, levels: Numbers, whole: Bytes, count: int, out: Words
) -> None:
    """A row crosses below a number."""
    for row in range(len(lefts)):
        left, level = lefts[row], levels[row]
        sound = whole[row] and abs(level) < np.inf
        was_not = np.uint64(flat[left - 1] >= level)
        for word in range(count):
            below = less64_scalar(flat, left, level)
            is_not = ~below if sound else greater_equal64_scalar(flat, left, level)
            out[row, word] = below & ((is_not << _ONE) | was_not)
            was_not = is_not >> _LAST
            left += WORD


@inner
def _compare(
    operation: int, flat: Numbers, lefts: Integers, rights: Integers, count: int, out: Words
) -> None:
    for row in range(len(lefts)):
        left, right = lefts[row], rights[row]
        for word in range(count):
            if operation == GREATER:
                out[row, word] = greater64(flat, left, flat, right)
            elif operation == GREATER_EQUAL:
                out[row, word] = greater_equal64(flat, left, flat, right)
            else:
                out[row, word] = equal64(flat, left, flat, right)
            left += WORD
            right += WORD


@inner
def _compare_with(
    operation: int, flat: Numbers, lefts: Integers, levels: Numbers, count: int, out: Words
) -> None:
    for row in range(len(lefts)):
        left, level = lefts[row], levels[row]
        for word in range(count):
            if operation == GREATER:
                out[row, word] = greater64_scalar(flat, left, level)
            elif operation == GREATER_EQUAL:
                out[row, word] = greater_equal64_scalar(flat, left, level)
            elif operation == LESS:
                out[row, word] = less64_scalar(flat, left, level)
            elif operation == LESS_EQUAL:
                out[row, word] = less_equal64_scalar(flat, left, level)
            else:
                out[row, word] = equal64_scalar(flat, left, level)
            left += WORD


@inner
def _combine(operation: int, one: Words, other: Words, count: int, out: Words) -> None:
    for row in range(len(out)):
        for word in range(count):
            if operation == AND:
                out[row, word] = one[row, word] & other[row, word]
            elif operation == OR:
                out[row, word] = one[row, word] | other[row, word]
            elif operation == AND_NOT:
                out[row, word] = one[row, word] & ~other[row, word]
            else:
                out[row, word] = ~one[row, word]


@inner
def _mark(operation: int, levels: Numbers, firsts: Integers, word: int, out: Words) -> None:
    """Set every bar of the sets whose number is not 0, or the bar of the first decision."""
    for row in range(len(out)):
        for place in range(out.shape[1]):
            if operation == CONSTANT:
                out[row, place] = _ALL if levels[row] != 0.0 else _NONE
                continue
            bar = firsts[row] - WORD * (word + place)
            out[row, place] = _ONE << np.uint64(bar) if 0 <= bar < WORD else _NONE


@inner
def _keep(source: Words, firsts: Integers, word: int, count: int, out: Words) -> None:
    """Copy words without the bits before the first decision."""
    for row in range(len(firsts)):
        for place in range(count):
            before = firsts[row] - WORD * (word + place)
            mask = _ALL
            if before > 0:
                mask = _ALL << np.uint64(before) if before < WORD else _NONE
            out[row, word + place] = source[row, place] & mask


@kernel
def fill_planes(
    instructions: Integers,
    starts: Integers,
    constants: Numbers,
    whole: Bytes,
    flat: Numbers,
    tile: tuple[int, int],
    firsts: Integers,
    outputs: Integers,
    planes: Words,
) -> None:
    """Write the words of one tile into the planes of many sets.

    Args:
        instructions: As in `PlaneCode`, shape (instructions, 4).
        starts: Where in `flat` the slot of every row begins for every set, shape (rows, sets).
        constants: Numbers of every set, shape (constants, sets).
        whole: Whether every row of every set is without holes, shape (rows, sets).
        flat: The row table: a word's worth of columns, the last of which is the bar before the
            tile, then the tile.
        tile: First bar of the tile in the window, and bars in it, multiples of 64.
        firsts: Bar of the first decision of every set; bits before it are cleared.
        outputs: Registers of the planes wanted, shape (planes,).
        planes: Gets the words, shape (planes, sets, words of the window).
    """
    registers = np.empty((len(instructions), len(firsts), _BLOCK), np.uint64)
    words = tile[1] // WORD
    for begin in range(0, words, _BLOCK):
        count = min(_BLOCK, words - begin)
        base = WORD + begin * WORD
        first_word = tile[0] // WORD + begin
        for number in range(len(instructions)):
            operation, left, right = instructions[number, :3]
            out = registers[instructions[number, 3]]
            if operation >= AND:
                _combine(operation, registers[left], registers[right], count, out)
            elif operation == CONSTANT:
                _mark(operation, constants[-1 - left], firsts, first_word, out)
            elif operation == FIRST:
                _mark(operation, np.empty(0), firsts, first_word, out)
            elif right >= 0:
                lefts, rights = starts[left] + base, starts[right] + base
                if operation == RISE:
                    _rise(flat, lefts, rights, whole[left] & whole[right], count, out)
                else:
                    _compare(operation, flat, lefts, rights, count, out)
            else:
                lefts, levels = starts[left] + base, constants[-1 - right]
                if operation == RISE:
                    _rise_above(flat, lefts, levels, whole[left], count, out)
                elif operation == FALL:
                    _fall_below(flat, lefts, levels, whole[left], count, out)
                else:
                    _compare_with(operation, flat, lefts, levels, count, out)
        for place in range(len(outputs)):
            _keep(registers[outputs[place]], firsts, first_word, count, planes[place])
