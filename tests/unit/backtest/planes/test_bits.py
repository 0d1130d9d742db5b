"""Words of compared bars against numpy's comparisons."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numba.core.errors import TypingError

from services.backtest.core.kernel import inner
from services.backtest.core.planes import bits

Numbers = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

SIGNS = {
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
    "equal": operator.eq,
}
EDGES = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1.0, np.nextafter(1.0, 2.0), 1e308)


def made_of_edges(bar_count: int, seed: int) -> Numbers:
    """Return a padded row of awkward values, many of them equal between rows, unset behind."""
    row = bits.aligned((-(-bar_count // 64) * 64,), np.float64)
    row[:] = np.random.default_rng(seed).choice(EDGES, len(row))
    return row


def words_of(mask: npt.NDArray[np.bool_]) -> Words:
    """Return a mask, whole words of it, as words by numpy's means."""
    return np.packbits(mask, bitorder="little").view("<u8").astype(np.uint64)


def every_word(compare: Any) -> Any:
    """Compile a comparison over all blocks of two rows."""

    @inner
    def run(a: Numbers, b: Numbers, out: Words) -> None:
        for word in range(len(out)):
            out[word] = compare(a, word * 64, b, word * 64)

    return run


def every_word_scalar(compare: Any) -> Any:
    """Compile a comparison over all blocks of a row."""

    @inner
    def run(a: Numbers, x: float, out: Words) -> None:
        for word in range(len(out)):
            out[word] = compare(a, word * 64, x)

    return run


@pytest.mark.parametrize(("name", "sign"), [one for one in SIGNS.items() if one[0] != "less"])
def test_a_word_holds_the_comparison_of_every_bar_as_numpy_makes_it(
    name: str, sign: Callable[[Any, Any], npt.NDArray[np.bool_]]
) -> None:
    """NaN, infinities, signed zeros, denormals and ties included, at lengths of any remainder."""
    run = every_word(getattr(bits, f"{name}64"))
    for bar_count in (1, 63, 64, 65, 1000):
        a, b = made_of_edges(bar_count, bar_count), made_of_edges(bar_count, bar_count + 1)
        out = np.zeros(len(a) // 64, np.uint64)
        run(a, b, out)
        np.testing.assert_array_equal(out, words_of(sign(a, b)))


@pytest.mark.parametrize(("name", "sign"), SIGNS.items())
def test_a_row_is_compared_with_a_number_as_numpy_does_it(
    name: str, sign: Callable[[Any, Any], npt.NDArray[np.bool_]]
) -> None:
    """The number stands on the right; NaN compares as in numpy."""
    run = every_word_scalar(getattr(bits, f"{name}64_scalar"))
    row = made_of_edges(500, 7)
    for number in EDGES:
        out = np.zeros(len(row) // 64, np.uint64)
        run(row, number, out)
        np.testing.assert_array_equal(out, words_of(sign(row, number)))


def test_both_words_of_the_double_comparison_are_those_of_the_single_ones() -> None:
    """Greater comes first, less second."""

    @inner
    def run(a: Numbers, b: Numbers, out: Words) -> None:
        for word in range(out.shape[1]):
            out[0, word], out[1, word] = bits.greater_and_less64(a, word * 64, b, word * 64)

    a, b = made_of_edges(700, 1), made_of_edges(700, 2)
    out = np.zeros((2, len(a) // 64), np.uint64)
    run(a, b, out)
    for words, mask in zip(out, (a > b, a < b), strict=True):
        np.testing.assert_array_equal(words, words_of(mask))


def test_rows_of_a_table_are_read_from_any_offset() -> None:
    """Offsets count values from the table's start and need not be at a word's or a line's."""

    @inner
    def run(table: Numbers, i: int, j: int) -> np.uint64:
        return bits.greater64(table, i, table, j)

    table = bits.aligned((3, 128), np.float64)
    table[:] = np.random.default_rng(3).normal(size=table.shape)
    flat = table.ravel()
    for i, j in ((0, 128), (128, 320), (1, 129), (257, 63), (320, 5)):
        expected = words_of(flat[i : i + 64] > flat[j : j + 64])[0]
        assert run(table, i, j) == expected


def test_frozen_rows_are_accepted_and_other_layouts_refused() -> None:
    """A row that is not laid out in C order would be read wrongly, so it does not compile."""
    run = every_word(bits.greater64)
    row = made_of_edges(64, 4)
    frozen = row.view()
    frozen.flags.writeable = False
    out = np.zeros(1, np.uint64)
    run(frozen, frozen, out)
    assert out[0] == 0
    with pytest.raises(TypingError):
        run(made_of_edges(128, 4)[::2], row, out)


def test_arrays_start_at_a_cache_line() -> None:
    """Whatever the shape and the type."""
    for shape, dtype in (((3, 64), np.float64), ((5,), np.uint64)):
        array = bits.aligned(shape, dtype)
        assert array.shape == shape
        assert array.dtype == dtype
        assert array.ctypes.data % 64 == 0


def test_bits_are_scanned_as_their_written_form_says() -> None:
    """Zeros from either end and the count of ones, the empty word included."""

    @inner
    def scan(word: np.uint64) -> tuple[int, int, int]:
        return bits.trailing_zeros(word), bits.leading_zeros(word), bits.count_ones(word)

    assert scan(np.uint64(0)) == (64, 64, 0)
    randoms = np.random.default_rng(5).integers(1, 2**63, 50, np.uint64)
    edges = np.array([1, 2**63, 2**64 - 1, 2**40], np.uint64)
    for word in np.concatenate([edges, randoms]):
        text = f"{word:064b}"
        expected = (64 - len(text.rstrip("0")), 64 - len(text.lstrip("0")), text.count("1"))
        assert scan(word) == expected
