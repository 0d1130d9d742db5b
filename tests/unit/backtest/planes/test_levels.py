"""Levels: whatever two of them tell of two values is true, and what they cannot tell they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.backtest.core.kernel import inner
from services.backtest.core.planes.levels import Levels, fill_levels, ordered64
from services.backtest.core.unowned import unowned

Table = npt.NDArray[np.float64]

WORD = 64
LARGEST = float(np.finfo(np.float64).max)
UNTOUCHED = 12_345


@inner
def ordered(levels: Levels, i: int, j: int) -> Any:
    """Return a word of two rows of levels, and whether any are equal."""
    return ordered64(unowned(levels), i, j)


def levels_of(blocks: Table) -> Levels:
    """Return the levels of rows, shape (rows, words * 64), as a table with a word before each."""
    table = np.full((len(blocks), WORD + blocks.shape[1]), np.nan)
    table[:, WORD:] = blocks
    levels = np.full(table.shape, UNTOUCHED, np.int16)
    starts = np.arange(len(blocks)) * table.shape[1]
    fill_levels(table.ravel(), starts, blocks.shape[1] // WORD, levels.ravel())
    assert (levels[:, :WORD] == UNTOUCHED).all()
    return levels[:, WORD:]


def assert_true(blocks: Table) -> Levels:
    """Check what levels tell of any two values of a block, whichever row and bar they are of."""
    levels = levels_of(blocks)
    for begin in range(0, blocks.shape[1], WORD):
        values = blocks[:, begin : begin + WORD].ravel()
        order = np.argsort(values, kind="stable")
        told = levels[:, begin : begin + WORD].ravel()[order].astype(np.int64)
        assert (np.diff(told) >= 0).all()
        risen = np.diff(told) > 0
        assert (values[order][1:][risen] > values[order][:-1][risen]).all()
    return levels


# Neighbouring doubles, denormals, halves of an ulp of the product, all signs and magnitudes.
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e-300, 1e-300),
    st.floats(99.9, 100.1),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, float(np.nextafter(1.0, 2.0)), 1e308]),
)


@settings(max_examples=200, deadline=None)
@given(few=st.lists(numbers, min_size=1, max_size=40), seed=st.integers(0, 2**32 - 1))
@example(few=[LARGEST, -LARGEST], seed=0)
@example(few=[0.0, 5e-324], seed=0)
@example(few=[0.0, LARGEST], seed=0)
@example(few=[-1e-303, 1e-303, 0.0], seed=0)
def test_a_greater_level_is_that_of_a_greater_value(few: list[float], seed: int) -> None:
    """Ties, huge ranges, negative numbers and denormals, among few or among many values."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore", invalid="ignore"):
        blocks = rng.choice(few, (3, 2 * WORD))
        close = blocks * (1.0 + rng.normal(scale=1e-15, size=blocks.shape))
    assert_true(blocks)
    assert_true(np.where(np.isfinite(close), close, blocks))


@settings(max_examples=100, deadline=None)
@given(
    low=st.floats(-1e300, 1e300),
    spread=st.floats(1e-290, 1e300),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_whole_range_of_levels_is_used(low: float, spread: float, seed: int) -> None:
    """From -32767 to 32766 or 32767, and never beyond, wherever there is a map."""
    blocks = low + spread * np.random.default_rng(seed).random((4, WORD))
    levels = assert_true(blocks)
    if np.ptp(blocks) > 0.0:
        assert levels.min() == -32_767
        assert levels.max() in (32_766, 32_767)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, LARGEST])
def test_a_block_with_what_has_no_level_tells_nothing(odd: float) -> None:
    """All its levels are equal, in all rows; the next block's are not."""
    blocks = np.random.default_rng(1).normal(size=(3, 3 * WORD))
    blocks[1, WORD + 17] = odd
    blocks[0, WORD + 3] = -LARGEST
    levels = levels_of(blocks)
    assert (levels[:, WORD : 2 * WORD] == 0).all()
    for begin in (0, 2 * WORD):
        assert len(np.unique(levels[:, begin : begin + WORD])) > WORD


def test_blocks_of_one_value_or_of_denormals_alone_tell_nothing() -> None:
    """Their range has no scale."""
    blocks = np.full((2, 2 * WORD), 100.0)
    blocks[:, WORD:] = np.random.default_rng(2).integers(-3, 4, (2, WORD)) * 5e-324
    assert (levels_of(blocks) == 0).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ties=st.integers(0, 3))
def test_a_word_of_levels_is_what_numpy_tells(seed: int, ties: int) -> None:
    """Every bit in its place, and the least tie at any place is seen."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-32_768, 32_768, (2, 3 * WORD)).astype(np.int16)
    i, j = rng.integers(0, 2 * WORD + 1, 2)
    own = slice(i, i + WORD), slice(j, j + WORD)
    places = rng.integers(0, WORD, ties)
    table[1, own[1]][places] = table[0, own[0]][places]
    one, other = table[0, own[0]], table[1, own[1]]
    word, tied = ordered(table.ravel(), int(i), int(3 * WORD + j))
    assert word == np.packbits(one > other, bitorder="little").view("<u8")[0]
    assert tied == (one == other).any()
