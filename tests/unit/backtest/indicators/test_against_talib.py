"""Indicators against TA-Lib, where it has them: equal but for rounding, undefined at equal bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import talib

from tests.unit.backtest.indicators.series import Market, Numbers, over, values, walk

Reference = Callable[..., Numbers]


def assert_close(ours: Numbers, theirs: Numbers, scale: float = 1e-9) -> None:
    """Compare to 1e-9 of the values' size."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=scale)


@pytest.mark.parametrize("period", [2, 14, 100])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("sma", talib.SMA),
        ("ema", talib.EMA),
        ("wma", talib.WMA),
        ("dema", talib.DEMA),
        ("tema", talib.TEMA),
        ("rsi", talib.RSI),
        ("roc", talib.ROC),
        ("change", talib.MOM),
        ("sum", talib.SUM),
        ("highest", talib.MAX),
        ("lowest", talib.MIN),
        ("linreg_slope", talib.LINEARREG_SLOPE),
    ],
)
def test_functions_of_a_series_are_talibs(
    name: str, theirs: Reference, period: int, market: Market
) -> None:
    """An indicator of closes agrees with TA-Lib at every bar, the undefined ones included."""
    close = market["close"]
    tolerance = 1e-12 * float(np.max(np.abs(close))) * period
    assert_close(values(name, market, period), theirs(close, period), tolerance)


@pytest.mark.parametrize("period", [2, 14, 100])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("atr", talib.ATR),
        ("adx", talib.ADX),
        ("plus_di", talib.PLUS_DI),
        ("minus_di", talib.MINUS_DI),
        ("cci", talib.CCI),
        ("williams_r", talib.WILLR),
    ],
)
def test_functions_of_bars_are_talibs(
    name: str, theirs: Reference, period: int, market: Market
) -> None:
    """An indicator of high, low and close agrees with TA-Lib at every bar."""
    columns = (market["high"], market["low"], market["close"])
    assert_close(values(name, market, period), theirs(*columns, period))


@pytest.mark.parametrize("period", [2, 14, 100])
def test_money_flow_is_talibs(period: int, market: Market) -> None:
    """The money flow index agrees with TA-Lib at every bar."""
    columns = (market["high"], market["low"], market["close"], market["volume"])
    assert_close(values("mfi", market, period), talib.MFI(*columns, period))


def test_true_range_and_volume_balance_are_talibs(market: Market) -> None:
    """True range and on-balance volume agree with TA-Lib at every bar."""
    high, low, close = market["high"], market["low"], market["close"]
    assert_close(values("true_range", market), talib.TRANGE(high, low, close))
    assert_close(values("obv", market), talib.OBV(close, market["volume"]), scale=1e-6)


@pytest.mark.parametrize("period", [3, 20, 150])
def test_deviations_and_bands_are_talibs(period: int, market: Market) -> None:
    """Deviations agree with TA-Lib as far as its cancelling sums allow; bands at every bar."""
    close = market["close"]
    spread = values("stdev", market, period)
    np.testing.assert_allclose(spread, talib.STDDEV(close, period), rtol=1e-5)
    upper, middle, lower = talib.BBANDS(close, period, 2.5, 2.5)
    scale = 1e-8 * float(np.max(close))
    assert_close(values("bollinger_upper", market, period, 2.5), upper, scale)
    assert_close(values("bollinger_middle", market, period, 2.5), middle)
    assert_close(values("bollinger_lower", market, period, 2.5), lower, scale)


@pytest.mark.parametrize(("period", "smooth", "again"), [(14, 3, 3), (5, 1, 4), (30, 7, 1)])
def test_stochastics_are_talibs(period: int, smooth: int, again: int, market: Market) -> None:
    """Slow %K and %D with simple means agree with TA-Lib, which undefines %K with %D."""
    high, low, close = market["high"], market["low"], market["close"]
    k, d = talib.STOCH(
        high, low, close, fastk_period=period, slowk_period=smooth, slowd_period=again
    )
    ours = values("stochastic_k", market, period, smooth)
    assert_close(ours[period + smooth + again - 3 :], k[period + smooth + again - 3 :])
    assert_close(values("stochastic_d", market, period, smooth, again), d)


@pytest.mark.parametrize("periods", [(12, 26, 9), (3, 10, 16), (5, 35, 1)])
def test_macd_is_talibs(periods: tuple[int, int, int], market: Market) -> None:
    """Line, signal and histogram agree with TA-Lib, which undefines the line with its signal."""
    line, signal, histogram = talib.MACD(market["close"], *periods)
    first = periods[1] + periods[2] - 2
    assert_close(values("macd_line", market, *periods)[first:], line[first:])
    assert_close(values("macd_signal", market, *periods), signal, scale=1e-8)
    assert_close(values("macd_histogram", market, *periods), histogram, scale=1e-8)


def test_macd_periods_are_never_exchanged(market: Market) -> None:
    """A fast period above the slow one gives the line with its sign turned, not TA-Lib's."""
    line = values("macd_line", market, 12, 26, 9)
    np.testing.assert_array_equal(values("macd_line", market, 26, 12, 9), -line)


def test_a_period_of_one_is_the_series_itself() -> None:
    """Averages and extremes of one bar are that bar."""
    close = walk(4, 50)["close"]
    for name in ("sma", "ema", "wma", "rma", "dema", "tema", "highest", "lowest", "median", "sum"):
        np.testing.assert_array_equal(over(name, close, 1), close)
    assert not over("stdev", close, 1).any()


def test_rsi_without_losses_is_100_and_without_movement_50() -> None:
    """No movement at all is 50; no losses are 100; no gains are 0."""
    for step, expected in ((0.0, 50.0), (0.5, 100.0), (-0.5, 0.0)):
        close = np.linspace(100.0, 100.0 + 39.0 * step, 40)
        assert set(over("rsi", close, 5)[5:].tolist()) == {expected}
