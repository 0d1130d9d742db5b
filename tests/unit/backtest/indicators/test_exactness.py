"""Sliding sums are exact: whatever their window left behind, they know nothing of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.indicators.means import Means
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.indicators.smoothing import seed
from services.backtest.core.kernel import frozen
from tests.unit.backtest.indicators import reference
from tests.unit.backtest.indicators.series import arguments, over, values, walk

WINDOWED = sorted(
    name
    for name, operation in INDICATORS.items()
    if operation.lookback(arguments(operation)) == operation.undefined(arguments(operation))
    and name != "obv"
)

wide = st.lists(
    st.floats(-1e12, 1e12, allow_subnormal=False) | st.integers(-5, 5).map(float),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(numbers=wide, period=st.integers(1, 12))
def test_sums_are_correctly_rounded(numbers: list[float], period: int) -> None:
    """A sliding sum is the rounded sum of its window, for numbers of any size."""
    expected = reference.windows(numbers, period, math.fsum)
    np.testing.assert_array_equal(over("sum", np.array(numbers), period), expected)


@settings(max_examples=100, deadline=None)
@given(
    numbers=wide.map(lambda numbers: [0.0 if abs(x) < 1e-100 else x for x in numbers])
    | st.lists(st.integers(0, 3).map(lambda steps: 1e9 + steps * 2.0**-23), min_size=1),
    period=st.integers(2, 12),
)
def test_deviations_are_right_to_the_last_bit(numbers: list[float], period: int) -> None:
    """A deviation is the root of the correctly rounded variance, large numbers or tiny steps."""
    expected = reference.windows(numbers, period, reference.exact_deviation)
    np.testing.assert_array_equal(over("stdev", np.array(numbers), period), expected)


@pytest.mark.parametrize("period", [20, 300])
def test_deviations_of_prices_are_right_to_the_last_bit(period: int) -> None:
    """The short way for usual numbers rounds as the long one does."""
    for column in (walk(5, 900)["close"], 1e9 + walk(6, 900, None)["volume"] * 1e-6):
        expected = reference.windows(column.tolist(), period, reference.exact_deviation)
        np.testing.assert_array_equal(over("stdev", column, period), expected)


@pytest.mark.parametrize("value", [0.1, 1.0 / 3.0, 1e-160, 1e130])
def test_a_window_of_equal_values_has_no_deviation(value: float) -> None:
    """It is exactly 0, whatever was before, and there is no distance in deviations."""
    column = np.concatenate((np.random.default_rng(6).random(30), np.full(30, value)))
    assert not over("stdev", column, 10)[39:].any()
    assert np.isnan(over("zscore", column, 10)[39:]).all()
    bands = {over(f"bollinger_{name}", column, 10, 2.0)[-1] for name in ("lower", "upper")}
    assert bands == {over("sma", column, 10)[-1]}


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("decimals", [2, None])
def test_windows_do_not_depend_on_where_their_column_starts(
    name: str, decimals: int | None
) -> None:
    """Every bar of a windowed indicator has the same bits however many bars lie before."""
    market = walk(7, 240, decimals)
    market["close"][:40] *= 1e6
    operation = INDICATORS[name]
    statics = arguments(operation, 9.0)
    whole = values(name, market, *statics)
    late = values(name, {key: column[60:] for key, column in market.items()}, *statics)
    begin = operation.lookback(statics)
    assert whole[60 + begin :].tobytes() == late[begin:].tobytes()


def test_simple_averages_are_the_exact_means_of_prices() -> None:
    """The simple average has the bits of `Means`, over a slice or all; so do seeds."""
    close = walk(8, 200)["close"]
    out = np.empty(150)
    Means(frozen(close)).fill(7, 50, out)
    assert over("sma", close[44:], 7)[6:].tolist() == out.tolist()
    assert over("ema", close[44:], 7)[6] == out[0] == seed(close[44:], 7)
    assert over("sma", np.array([0.1, 0.2, 0.3] * 5), 3)[2:].tolist() == [0.2] * 13


@settings(max_examples=60, deadline=None)
@given(
    prices=st.lists(
        st.floats(-1e-3, 1e9)
        | st.decimals(0, 100_000, places=10).map(float)
        | st.decimals(0, 100_000, places=1).map(float),
        min_size=1,
        max_size=40,
    ),
    period=st.integers(1, 12),
)
def test_means_are_those_of_decimals_or_rounded_sums(prices: list[float], period: int) -> None:
    """A mean is the double nearest to that of its decimals; where they do not fit, of its sum."""
    expected = reference.windows(prices, period, reference.mean)
    np.testing.assert_array_equal(over("sma", np.array(prices), period), expected)


@settings(max_examples=60, deadline=None)
@given(
    units=st.lists(st.integers(0, 10**6), min_size=1, max_size=40),
    decimals=st.integers(0, 10),
    period=st.integers(1, 8),
    odd=st.sampled_from([1.0 / 3.0, -1.0, 1e300, 2.0**60]),
)
def test_means_depend_on_their_own_prices_alone(
    units: list[int], decimals: int, period: int, odd: float
) -> None:
    """A price that is no decimal changes no mean of others, before or behind it."""
    column = np.array([float(f"{unit}e-{decimals}") for unit in units])
    alone, together = np.empty(len(column)), np.empty(2 * len(column) + 1)
    Means(frozen(column)).fill(period, 0, alone)
    Means(frozen(np.concatenate((column, [odd], column)))).fill(period, 0, together)
    assert together[: len(column)].tobytes() == alone.tobytes()
    behind = together[len(column) + 1 :][period - 1 :]
    assert behind.tobytes() == alone[period - 1 :].tobytes()


@pytest.mark.parametrize("period", [99_999, 100_000])
def test_the_longest_windows_are_exact_too(period: int) -> None:
    """Windows of the largest length over twice as many bars, ending far from where they began."""
    column = np.random.default_rng(9).normal(0.0, 1.0, 200_000)
    last = column[-period:].tolist()
    assert over("sum", column, period)[-1] == math.fsum(last)
    assert over("sma", column, period)[-1] == math.fsum(last) / period
    assert over("highest", column, period)[-1] == max(last)
    assert over("lowest", column, period)[-1] == min(last)
    assert over("median", column, period)[-1] == reference.median(last)
    assert over("stdev", column, period)[-1] == reference.exact_deviation(last)
    np.testing.assert_allclose(over("wma", column, period)[-1], reference.weighted(last), 1e-12)
    deviation = np.arange(period) - (period - 1) / 2
    slope = math.fsum((deviation * last).tolist()) / math.fsum((deviation**2).tolist())
    np.testing.assert_allclose(over("linreg_slope", column, period)[-1], slope, 1e-9)


def test_the_longest_channel_index_is_right() -> None:
    """Distances from the mean, summed by rank, agree with those summed one by one."""
    market = {name: np.tile(column, 50) for name, column in walk(10, 2_000).items()}
    typical = ((market["high"] + market["low"] + market["close"]) / 3)[-90_000:]
    mean = math.fsum(typical.tolist()) / 90_000
    spread = math.fsum(np.abs(typical - mean).tolist()) / 90_000
    ours = values("cci", market, 90_000)[-1]
    np.testing.assert_allclose(ours, (typical[-1] - mean) / (0.015 * spread), 1e-12)


def test_ties_of_rounding_are_to_even() -> None:
    """Sums half-way between two doubles are rounded as math.fsum does."""
    column = np.array([1.0, 2.0**-53, 2.0**-106, -(2.0**-106), 2.0**-52, 1e16, 1.0, -1e16])
    for period in (2, 3, 4, 8):
        expected = reference.windows(column.tolist(), period, math.fsum)
        np.testing.assert_array_equal(over("sum", column, period), expected)
