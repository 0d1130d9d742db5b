"""Indicators TA-Lib does not have, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.backtest.indicators import reference
from tests.unit.backtest.indicators.series import Market, Numbers, over, values, walk


@pytest.fixture(scope="module")
def walked() -> Market:
    """A random walk in cents."""
    return walk(21, 300)


def assert_close(ours: Numbers, theirs: Numbers) -> None:
    """Equal but for rounding, undefined at the same bars."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize("period", [1, 2, 3, 8, 51])
def test_medians_are_those_of_sorted_windows(period: int, walked: Market) -> None:
    """The median is the middle of the sorted window, also among equal values."""
    for column in (walked["close"], np.round(walked["close"], -1)):
        expected = reference.windows(column.tolist(), period, reference.median)
        np.testing.assert_array_equal(over("median", column, period), expected)


@pytest.mark.parametrize("period", [2, 9, 40])
def test_averages_follow_their_definitions(period: int, walked: Market) -> None:
    """Wilder's and Hull's averages and the volume-weighted price agree with plain sums."""
    close = walked["close"].tolist()
    assert_close(values("rma", walked, period), reference.wilder(close, period))
    assert_close(values("hma", walked, period), reference.hull(close, period))
    typical = (walked["high"] + walked["low"] + walked["close"]) / 3
    traded = reference.windows(walked["volume"].tolist(), period, math.fsum)
    paid = reference.windows((typical * walked["volume"]).tolist(), period, math.fsum)
    assert_close(values("vwap", walked, period), paid / traded)


def test_vwap_is_undefined_where_nothing_was_traded(walked: Market) -> None:
    """A window without volume has no price, and the next with volume has one."""
    volume = walked["volume"].copy()
    volume[50:60] = 0.0
    undefined = np.isnan(values("vwap", {**walked, "volume": volume}, 4))
    assert np.flatnonzero(undefined).tolist() == [0, 1, 2, *range(53, 60)]


@pytest.mark.parametrize("period", [2, 10, 60])
def test_distances_from_the_mean_are_in_deviations(period: int, walked: Market) -> None:
    """The z-score is the last value's distance from the mean, over the deviation."""

    def score(window: list[float]) -> float:
        return (window[-1] - math.fsum(window) / period) / reference.exact_deviation(window)

    moving = walked["close"] + 0.001 * np.arange(300)
    assert_close(over("zscore", moving, period), reference.windows(moving.tolist(), period, score))


@pytest.mark.parametrize("period", [1, 7, 30])
def test_channels_hold_their_own_bar(period: int, walked: Market) -> None:
    """Donchian's channel spans the period bars that end at this one; shifted, those before."""
    upper = reference.windows(walked["high"].tolist(), period, max)
    lower = reference.windows(walked["low"].tolist(), period, min)
    np.testing.assert_array_equal(values("donchian_upper", walked, period), upper)
    np.testing.assert_array_equal(values("donchian_lower", walked, period), lower)
    np.testing.assert_array_equal(values("donchian_middle", walked, period), (upper + lower) / 2)
    before = over("shift", values("highest", walked, period, series="high"), 1)
    np.testing.assert_array_equal(before, reference.late(upper, 1))


def test_ichimoku_lines_use_bars_of_the_past_alone(walked: Market) -> None:
    """Spans lie displacement bars after those they are made of."""
    nine, twenty, fifty = (reference.middle(walked, period) for period in (9, 26, 52))
    np.testing.assert_array_equal(values("ichimoku_conversion", walked, 9), nine)
    np.testing.assert_array_equal(values("ichimoku_base", walked, 26), twenty)
    span = reference.late((nine + twenty) / 2, 26)
    np.testing.assert_array_equal(values("ichimoku_span_a", walked, 9, 26, 26), span)
    span = reference.late(fifty, 26)
    np.testing.assert_array_equal(values("ichimoku_span_b", walked, 52, 26), span)


def test_keltner_channel_is_an_ema_and_average_ranges(walked: Market) -> None:
    """The bands are width average true ranges from the ema, defined where both are."""
    middle = values("ema", walked, 20)
    spread = 1.5 * values("atr", walked, 10)
    for name, band in (("lower", middle - spread), ("middle", middle), ("upper", middle + spread)):
        np.testing.assert_array_equal(values(f"keltner_{name}", walked, 20, 10, 1.5), band)
    late = values("keltner_middle", walked, 3, 10, 1.5)
    np.testing.assert_array_equal(np.isnan(late), np.arange(300) < 10)


@pytest.mark.parametrize(("period", "factor"), [(1, 0.5), (7, 1.0), (10, 3.0)])
def test_supertrend_is_tradingviews(period: int, factor: float, walked: Market) -> None:
    """Line and direction follow the published rules; the trend turns both ways."""
    line, direction = reference.supertrend(walked, values("atr", walked, period), factor)
    np.testing.assert_array_equal(values("supertrend", walked, period, factor), line)
    ours = values("supertrend_direction", walked, period, factor)
    np.testing.assert_array_equal(ours, direction)
    assert {-1.0, 1.0} <= set(ours[period:].tolist())


def test_heikin_ashi_bars_follow_their_definition(walked: Market) -> None:
    """Every column agrees bit for bit with the plain recursion."""
    names = ("open", "high", "low", "close")
    for name, column in zip(names, reference.heikin_ashi(walked), strict=True):
        np.testing.assert_array_equal(values(f"heikin_ashi_{name}", walked), column)


def test_heikin_ashi_open_forgets_its_start(walked: Market) -> None:
    """After its lookback the open hardly depends on where it started."""
    whole = values("heikin_ashi_open", walked)
    later = values("heikin_ashi_open", {name: column[100:] for name, column in walked.items()})
    np.testing.assert_allclose(whole[164:], later[64:], rtol=1e-15)


def test_indicators_without_a_range_take_their_stated_values() -> None:
    """Flat bars: positions and channel index 0, money flow 50, no directions, change 0 of 0."""
    flat = {name: np.full(60, 42.1) for name in ("open", "high", "low", "close", "volume")}
    expected = {"stochastic_k": 0.0, "williams_r": 0.0, "cci": 0.0, "mfi": 50.0, "adx": 0.0}
    for name, value in expected.items():
        statics = (7.0, 3.0) if name == "stochastic_k" else (7.0,)
        assert set(values(name, flat, *statics)[20:].tolist()) == {value}
    assert set(over("roc", np.zeros(20), 3)[3:].tolist()) == {0.0}
