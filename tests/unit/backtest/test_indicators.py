"""Indicators against TA-Lib, and means against exact arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.indicators.means import Means
from services.backtest.core.indicators.rows import Rows
from services.backtest.core.kernel import frozen
from services.common.frames import Candles
from tests.unit.backtest import markets

MARKET = markets.candles(11, 400, decimals=2)
WINDOW = 150


def rows_of(market: Candles, window_start: int, lookback: int) -> Rows:
    """Return the rows of a frame of this market."""
    return Rows(markets.frame(market, window_start, lookback))


def assert_close(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> None:
    """Equal but for rounding, undefined at the same bars."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("period", [2, 14, 50])
def test_sma_is_talibs(period: int) -> None:
    """The simple average agrees with TA-Lib; a row begins at the bar before the window."""
    ours = rows_of(MARKET, WINDOW, period).sma(period).values
    assert_close(ours, talib.SMA(MARKET.close, period)[WINDOW - 1 :])


@pytest.mark.parametrize("period", [2, 14, 30])
def test_ema_is_talibs_from_its_local_start(period: int) -> None:
    """The exponential average is TA-Lib's over the bars from 4 n + 1 before the window on."""
    ours = rows_of(MARKET, WINDOW, 4 * period + 1).ema(period, above=1).values
    start = WINDOW - 1 - 4 * period
    assert_close(ours, talib.EMA(MARKET.close[start:], period)[WINDOW - 1 - start :])


@pytest.mark.parametrize("period", [2, 14, 30])
def test_rsi_is_talibs_from_its_local_start(period: int) -> None:
    """The relative strength index is TA-Lib's over the bars from 4 n + 1 before the window on."""
    ours = rows_of(MARKET, WINDOW, 4 * period + 1).rsi(period, above=1).values
    start = WINDOW - 1 - 4 * period
    assert_close(ours, talib.RSI(MARKET.close[start:], period)[WINDOW - 1 - start :])


@pytest.mark.parametrize("recursive", ["ema", "rsi"])
def test_recursive_rows_start_at_the_datasets_first_bar_when_history_is_short(
    recursive: str,
) -> None:
    """With fewer than 4 n bars of history an indicator is TA-Lib's from the dataset's start."""
    rows = rows_of(MARKET, 10, 57)
    ours = rows.ema(14, above=1) if recursive == "ema" else rows.rsi(14, above=1)
    theirs = talib.EMA(MARKET.close, 14) if recursive == "ema" else talib.RSI(MARKET.close, 14)
    assert_close(ours.values, theirs[9:])
    assert ours.defined_row == int(np.argmax(np.isfinite(theirs)))


def test_macd_is_talibs_at_the_datasets_start() -> None:
    """Line and signal are TA-Lib's where the window begins with the dataset."""
    line, signal = rows_of(MARKET, 0, 141).macd(12, 26, 9, above=1)
    their_line, their_signal, _ = talib.MACD(MARKET.close, 12, 26, 9)
    assert_close(signal.values[1:], their_signal)
    assert_close(line.values[1 + 33 :], their_line[33:])
    assert line.defined_row == 25
    assert signal.defined_row == 33


def test_macd_within_a_dataset_is_an_ema_over_talibs_line() -> None:
    """The line starts 4 x (slow + signal) + 1 bars back, the signal 4 x signal + 1."""
    line, signal = rows_of(MARKET, WINDOW, 141).macd(12, 26, 9, above=1)
    start = WINDOW - 141
    their_line, _, _ = talib.MACD(MARKET.close[start:], 12, 26, 1)
    assert_close(line.values, their_line[140:])
    begin = 140 - 36
    assert_close(signal.values, talib.EMA(their_line[begin:], 9)[36:])


def test_macd_periods_are_never_exchanged() -> None:
    """A fast period above the slow one gives the line with its sign turned."""
    rows = rows_of(MARKET, WINDOW, 141)
    line, _ = rows.macd(12, 26, 9, above=1)
    turned, _ = rows.macd(26, 12, 9, above=1)
    assert turned.values.tolist() == (-line.values).tolist()


def test_bollinger_bands_are_talibs() -> None:
    """Bands of population deviations agree with TA-Lib."""
    ours = rows_of(MARKET, WINDOW, 20).bollinger(20, 2.5)
    upper, middle, lower = talib.BBANDS(MARKET.close, 20, 2.5, 2.5)
    for mine, theirs in zip(ours, (lower, middle, upper), strict=True):
        np.testing.assert_allclose(mine.values, theirs[WINDOW - 1 :], rtol=1e-9)


@pytest.mark.parametrize("period", [2, 7, 60])
def test_extremes_before_are_talibs_one_bar_later(period: int) -> None:
    """Highest and lowest of the bars before are TA-Lib's MAX and MIN of the bar before."""
    rows = rows_of(MARKET, WINDOW, period)
    highest, lowest = rows.highest_before(period).values, rows.lowest_before(period).values
    assert highest[1:].tolist() == talib.MAX(MARKET.high, period)[WINDOW - 1 : -1].tolist()
    assert lowest[1:].tolist() == talib.MIN(MARKET.low, period)[WINDOW - 1 : -1].tolist()


def test_an_extreme_before_of_one_bar_is_the_bar_before() -> None:
    """A channel of one bar is that bar."""
    ours = rows_of(MARKET, WINDOW, 1).highest_before(1).values
    assert ours[1:].tolist() == MARKET.high[WINDOW - 1 : -1].tolist()


def test_rsi_of_a_flat_market_is_50_and_of_a_rising_one_100() -> None:
    """No movement at all is 50; no losses are 100; no gains are 0."""
    for step, expected in ((0.0, 50.0), (0.5, 100.0), (-0.5, 0.0)):
        close = 100.0 + step * np.arange(40)
        market = Candles.from_columns([np.arange(40), close, close, close, close, close])
        assert set(rows_of(market, 30, 21).rsi(5, above=1).values.tolist()) == {expected}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    decimals=st.integers(0, 10),
    period=st.integers(1, 40),
    largest=st.sampled_from([1e-3, 1.0, 20_000.0]),
)
def test_means_of_decimals_are_correctly_rounded(
    seed: int, decimals: int, period: int, largest: float
) -> None:
    """Every mean is the double nearest to the mean of the decimals."""
    rng = np.random.default_rng(seed)
    prices = np.round(rng.random(80) * largest, decimals) + 10.0**-decimals
    prices = np.array([float(f"{price:.{decimals}f}") for price in prices])
    out = np.empty(80)
    Means(frozen(prices)).fill(period, 0, out)

    exact = [Fraction(Decimal(repr(price))) for price in prices.tolist()]
    for row in range(period - 1, 80):
        assert out[row] == float(sum(exact[row + 1 - period : row + 1]) / period)
    assert np.isnan(out[: period - 1]).all()


@settings(max_examples=60, deadline=None)
@given(
    prices=st.lists(st.floats(1e-5, 1e9), min_size=1, max_size=60),
    period=st.integers(1, 30),
)
def test_means_of_other_numbers_come_from_correctly_rounded_sums(
    prices: list[float], period: int
) -> None:
    """Prices of more than 10 decimals take the correctly rounded sum of each window."""
    column = np.array([*prices, 1.0 / 3.0])
    out = np.empty(len(column))
    Means(frozen(column)).fill(period, 0, out)

    for row in range(period - 1, len(column)):
        assert out[row] == math.fsum(column[row + 1 - period : row + 1].tolist()) / period


def test_equal_means_are_equal_at_any_scale() -> None:
    """One price with many decimals in the frame changes no mean of the others."""
    prices = np.round(100.0 + np.random.default_rng(3).random(60), 1)
    alone, together = np.empty(30), np.empty(30)
    Means(frozen(prices)).fill(7, 30, alone)
    for odd in (0.123456789, 1.0 / 3.0):
        Means(frozen(np.concatenate(([odd], prices)))).fill(7, 31, together)
        assert together.tolist() == alone.tolist()


def test_ties_of_means_are_exact() -> None:
    """Averages of 0.1, 0.2 and 0.3 tie with 0.2, which running sums of doubles miss."""
    prices = np.array([0.1, 0.2, 0.3] * 5)
    out = np.empty(13)
    Means(frozen(prices)).fill(3, 2, out)
    assert set(out.tolist()) == {0.2}


def test_rows_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded store of rows gives the same rows again."""
    monkeypatch.setattr("services.backtest.core.indicators.rows._MOST_BYTES", 10_000)
    rows = rows_of(MARKET, WINDOW, 60)
    first = rows.sma(5)
    for period in range(6, 30):
        rows.sma(period)
    again = rows.sma(5)
    assert again is not first
    assert again.values.tolist() == first.values.tolist()
