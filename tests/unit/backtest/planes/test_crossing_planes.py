"""Planes of crossings: those of one look at every bar, by levels and by values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.planes.filling import fill_planes
from services.backtest.core.planes.levels import fill_levels
from services.backtest.core.planes.plane_code import RISE
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.planes.turns import fill_turns

Table = np.ndarray[Any, np.dtype[np.float64]]
PAIRS = ((0, 1), (1, 2), (2, 0), (0, 0))


def drawn_table(seed: int, bars: int, steps: int, *, holes: bool) -> Table:
    """Return three rows of few values, the bar before the window first; some without holes."""
    rng = np.random.default_rng(seed)
    table = np.full((3, WORD + -(-bars // WORD) * WORD), np.nan)
    values = rng.integers(-steps, steps + 1, (3, bars + 1)).astype(np.float64)
    # Differences that levels cannot tell from ties, among others that they can.
    values += rng.choice([0.0, 0.0, 1e-9, -1e-9, 0.3], values.shape)
    if holes:
        values[:2][rng.random((2, bars + 1)) < 0.02] = np.nan
    table[:, WORD - 1 : WORD + bars] = values
    return table


def bits(plane: np.ndarray[Any, np.dtype[np.uint64]], bars: int) -> list[bool]:
    """Return the bits of a set's words."""
    return [bool(bit) for bit in np.unpackbits(plane.view(np.uint8), bitorder="little")[:bars]]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.sampled_from([1, 63, 64, 65, 129, 700, 1_200]),
    steps=st.sampled_from([1, 3, 1_000]),
    quick=st.booleans(),
    holes=st.booleans(),
)
def test_a_row_crosses_another_where_it_is_beyond_and_was_not(
    seed: int, bars: int, steps: int, quick: bool, holes: bool
) -> None:
    """Ties, holes, the bar before the window, and bits before the first decision cleared."""
    table = drawn_table(seed, bars, steps, holes=holes)
    words, flat = table.shape[1] // WORD - 1, table.ravel()
    starts = np.arange(3) * table.shape[1]
    ranks = np.empty(len(flat) if quick else 0, np.int16)
    if quick:
        fill_levels(flat, starts, words, ranks)
    operands = np.ascontiguousarray(starts[np.array(PAIRS)].T)
    rows = table[:, WORD - 1 : WORD + bars]
    whole = np.array([np.isfinite(row).all() for row in rows], np.uint8)
    sound = np.ascontiguousarray(whole[np.array(PAIRS)].T)
    firsts = np.random.default_rng(seed).integers(0, bars, len(PAIRS))
    planes = np.empty((2, len(PAIRS), words), np.uint64)
    code = np.array([[RISE, 0, 1, 0, 1]])
    tile = 0, words * WORD
    fill_planes(code, operands, np.empty((0, 4)), sound, flat, ranks, tile, firsts, planes)
    for number, (left, right) in enumerate(PAIRS):
        for plane, one, other in ((0, left, right), (1, right, left)):
            now, then = (table[:, at : at + bars] for at in (WORD, WORD - 1))
            crosses = (now[one] > now[other]) & (then[one] <= then[other])
            wanted = np.where(np.arange(bars) < firsts[number], False, crosses)
            assert bits(planes[plane, number], bars) == wanted.tolist()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.sampled_from([1, 64, 65, 700, 1_200]),
    steps=st.sampled_from([1, 3, 1_000]),
)
def test_turns_by_levels_are_those_by_values(seed: int, bars: int, steps: int) -> None:
    """Bit for bit, ties that go on over words included."""
    table = drawn_table(seed, bars, steps, holes=False)
    words, flat = table.shape[1] // WORD - 1, table.ravel()
    starts = np.arange(3) * table.shape[1]
    ranks = np.empty(len(flat), np.int16)
    fill_levels(flat, starts, words, ranks)
    lefts, rights = np.ascontiguousarray(starts[np.array(PAIRS)].T)
    found = []
    for levels in (ranks, ranks[:0]):
        planes, state = np.empty((2, len(PAIRS), words), np.uint64), np.zeros((2, 4), np.uint64)
        firsts, tile = np.zeros(len(PAIRS), np.int64), (0, words * WORD)
        fill_turns(flat, levels, lefts, rights, tile, state, firsts, *planes)
        found.append(planes.tobytes())
    assert found[0] == found[1]
