"""Four numbers at once against the same operations on one number at a time."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import pytest

from services.backtest.core.quads import (
    LANES,
    gathered,
    larger,
    ones_above,
    smaller,
    spread,
    stored,
    where_unlike,
)
from services.backtest.core.unowned import beyond, unowned

Numbers = npt.NDArray[np.float64]
ODD = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 5e-324, 1.7e308, 0.1, 3.0, -7.25])


@numba.njit(error_model="numpy")
def operate(numbers: Numbers, places: npt.NDArray[np.int64], out: Numbers) -> None:
    """Write what every operation makes of numbers at the first four places and the others."""
    values, at, found = unowned(numbers), unowned(places), unowned(out)
    other = beyond(at, LANES)
    a, b = gathered(values, at, 0), gathered(values, other, 0)
    stored(found, 0, a + b)
    stored(found, 4, a - b)
    stored(found, 8, a * b)
    stored(found, 12, a / b)
    stored(found, 16, smaller(a, b))
    stored(found, 20, larger(a, b))
    stored(found, 24, ones_above(a, b))
    stored(found, 28, where_unlike(at, other, a))
    stored(found, 32, spread(numbers[0]))
    stored(found, 36, gathered(values, at, 1))


@pytest.mark.parametrize("seed", range(8))
def test_every_lane_is_what_single_numbers_make(seed: int) -> None:
    """Zeros of both signs, infinities, no numbers and the smallest ones among them."""
    rng = np.random.default_rng(seed)
    numbers = np.concatenate([rng.permutation(ODD), rng.normal(0.0, 1e3, 8)])
    places = rng.integers(0, len(numbers) - 1, 2 * LANES)
    places[0] = places[LANES]
    out = np.empty(10 * LANES)
    operate(numbers, places, out)
    a, b = numbers[places[:LANES]], numbers[places[LANES:]]
    with np.errstate(all="ignore"):
        wanted = [
            a + b,
            a - b,
            a * b,
            a / b,
            np.where(a < b, a, b),
            np.where(a > b, a, b),
            np.where(a > b, 1.0, 0.0),
            np.where(places[:LANES] != places[LANES:], a, 0.0),
            np.full(LANES, numbers[0]),
            numbers[places[:LANES] + 1],
        ]
    found = out.reshape(10, LANES)
    np.testing.assert_array_equal(found, wanted)
    # Equal numbers may still differ in the sign of zero.
    np.testing.assert_array_equal(
        np.signbit(found[2:8]),
        np.signbit(wanted[2:8]) | np.isnan(wanted[2:8]) & np.signbit(found[2:8]),
    )
