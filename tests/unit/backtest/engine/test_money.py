"""Ruin, excursions, exposure and shorts as examples worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.backtest.core import ledger
from services.backtest.core.execution import Execution
from tests.unit.backtest.engine.engine_room import (
    BUY,
    FLAT,
    FREE,
    SELL,
    SHORT,
    Bar,
    Played,
    flat,
    play,
    told,
)


def test_market_fills_after_missing_bars_are_counted() -> None:
    """Each fill counts, so a reversal counts twice; forced exits do not."""
    played = play([FLAT] * 4, {0: BUY, 1: SHORT}, gaps_before=[1, 2])
    assert played.count(ledger.GAP_FILLS) == 3
    stopped = play(
        [FLAT, FLAT, flat(80.0)], {0: BUY}, replace(FREE, stop_loss_ratio=0.1), gaps_before=[2]
    )
    assert stopped.count(ledger.GAP_FILLS) == 0


def test_a_short_that_loses_everything_is_bust() -> None:
    """Closed at that close; equity stays 0, and nothing is traded any more."""
    played = play([FLAT, FLAT, flat(210.0), flat(50.0), flat(50.0)], {0: SHORT, 2: BUY, 3: BUY})
    assert [told(trade) for trade in played.trades] == [(1, 2, 100.0, 210.0, "BUST")]
    assert played.equity == [1_000.0, 1_000.0, 0.0, 0.0, 0.0]
    assert played.count(ledger.BUSTS) == 1


def test_an_entry_without_equity_is_refused_and_counted() -> None:
    """A short covered beyond ruin cannot turn long at the same open."""
    played = play([FLAT, FLAT, flat(210.0), FLAT], {0: SHORT, 1: BUY})
    assert [told(trade) for trade in played.trades] == [(1, 2, 100.0, 210.0, "REVERSAL")]
    assert played.count(ledger.REJECTED_ORDERS) == 1
    assert played.equity == [1_000.0, 1_000.0, 0.0, 0.0]


def test_excursions_count_the_whole_bars_held_and_open_and_fill_of_the_exit_bar() -> None:
    """What the exit bar does after the fill is not the trade's."""
    bars = [FLAT, (100.0, 120.0, 90.0, 100.0), (105.0, 300.0, 1.0, 100.0)]
    trade = play(bars, {0: BUY, 1: SELL}).trades[0]
    moves = trade.adverse, trade.favorable
    assert moves == pytest.approx((0.1, 0.2))


def test_exposure_counts_bars_that_hold_after_the_fills_at_their_open() -> None:
    """The entry bar counts; the bar left at its open does not; a bar stopped inside does."""
    terms = replace(FREE, stop_loss_ratio=0.1)
    assert play([FLAT] * 5, {0: BUY, 2: SELL}).count(ledger.HELD_BARS) == 2
    stopped = play([FLAT, FLAT, (100.0, 100.0, 80.0, 80.0)], {0: BUY}, terms)
    assert stopped.count(ledger.HELD_BARS) == 2


def test_shorts_mirror_longs() -> None:
    """Stop above, target below, slippage against the trader, profit from falling prices."""
    terms = Execution(
        initial_capital_quote=1_000.0,
        taker_fee_bps=0.0,
        slippage_bps=100.0,
        stop_loss_ratio=0.1,
        take_profit_ratio=0.1,
    )

    def end(bar: Bar) -> Played:
        return play([FLAT, FLAT, bar], {0: SHORT}, terms)

    assert told(end((99.0, 120.0, 99.0, 99.0)).trades[0]) == (
        1,
        2,
        99.0,
        99.0 * 1.1 * 1.01,
        "STOP_LOSS",
    )
    assert end((120.0, 120.0, 99.0, 99.0)).trades[0].exit_price == 120.0 * 1.01
    assert end((99.0, 99.0, 80.0, 85.0)).trades[0].exit_price == 99.0 * 0.9
    assert end((99.0, 99.0, 80.0, 85.0)).trades[0].net_profit == pytest.approx(100.0)
    trailing = replace(FREE, trailing_stop_ratio=0.1)
    bars = [FLAT, (100.0, 105.0, 80.0, 85.0), (85.0, 88.0, 85.0, 88.0)]
    assert told(play(bars, {0: SHORT}, trailing).trades[0]) == (1, 2, 100.0, 88.0, "TRAILING_STOP")
