"""Markets of the same bars in a random order."""

from __future__ import annotations

import numpy as np
import pytest

from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Numbers
from services.backtest.core.stress.bar_permutation import permuted
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets


def changes(candles: Candles) -> Numbers:
    """Return each bar by its shape, its change from the close before, and its volume, last."""
    before = candles.close[:-1]
    rows = (candles.open, candles.high, candles.low, candles.close)
    return np.stack([*(row[1:] / before for row in rows), candles.volume[1:]], axis=1)


def by_volume(bars: Numbers) -> Numbers:
    """Return bars in the order of their volumes, which are all different."""
    return bars[np.argsort(bars[:, -1])]


@pytest.mark.parametrize("window_start", [0, 1, 50])
def test_the_same_bars_come_in_another_order(window_start: int) -> None:
    """Those of the window and those before it apart; the market ends where it ended."""
    frame = markets.frame(markets.candles(3, 400), window_start, window_start)
    made = permuted(frame, 11)
    new, old = made.candles, frame.candles
    np.testing.assert_array_equal(new.open_time_ms, old.open_time_ms)
    first = max(window_start - 1, 0)
    assert not np.array_equal(new.volume, old.volume)
    for part in (slice(first, None), slice(first)):
        moved, kept = by_volume(changes(new)[part]), by_volume(changes(old)[part])
        np.testing.assert_allclose(moved, kept, rtol=1e-12)
    assert (new.open[0], new.close[0]) == (old.open[0], old.close[0])
    assert new.close[-1] == pytest.approx(old.close[-1], rel=1e-9)
    assert (new.high >= np.maximum(new.open, new.close)).all()
    assert (new.low <= np.minimum(new.open, new.close)).all()


def test_a_seed_says_which_order() -> None:
    """The same object while it is kept, equal bits when it is made again, other seeds others."""
    frame = markets.frame(markets.candles(3, 300), 20, 20)
    first = permuted(frame, 1)
    assert permuted(frame, 1) is first
    others = [permuted(frame, seed) for seed in range(2, 9)]
    again = permuted(frame, 1)
    assert again is not first
    np.testing.assert_array_equal(again.candles.close, first.candles.close)
    assert all(not np.array_equal(one.candles.close, first.candles.close) for one in others)


def test_the_window_does_not_depend_on_the_history_before_it() -> None:
    """The changes of its bars come in the same order, however far a strategy looks back."""
    market = markets.candles(3, 400)
    short, long = (permuted(markets.frame(market, 100, count), 5) for count in (10, 90))
    np.testing.assert_array_equal(short.candles.volume[10:], long.candles.volume[90:])
    np.testing.assert_allclose(changes(short.candles)[9:], changes(long.candles)[89:], rtol=1e-12)


def test_mark_prices_go_with_their_bars() -> None:
    """In the same proportion to the bar's own prices; shorter candles are left out."""
    market = markets.candles(3, 200)
    mark = Candles.from_columns(
        [
            market.open_time_ms[20:],
            *(
                column[20:] * 1.001
                for column in (market.open, market.high, market.low, market.close, market.volume)
            ),
        ]
    )
    frame = Frame(market, 20, Interval.HOUR_1, 20, mark=mark)
    made = permuted(frame, 4)
    assert made.mark is not None
    np.testing.assert_allclose(made.mark.close, made.candles.close[20:] * 1.001, rtol=1e-12)
