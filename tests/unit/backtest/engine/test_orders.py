"""Every rule of orders and money as an example worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.backtest.core import ledger
from services.backtest.core.execution import IntrabarPolicy, TargetFill
from tests.unit.backtest.engine.engine_room import (
    BUY,
    COVER,
    FLAT,
    FREE,
    SELL,
    SHORT,
    flat,
    play,
    told,
)


def test_decisions_at_a_close_are_filled_at_the_next_open() -> None:
    """Bought and sold at the opens after the closes that said so."""
    bars = [FLAT, (101.0, 110.0, 90.0, 105.0), (107.0, 108.0, 106.0, 106.0), FLAT]
    played = play(bars, {0: BUY, 1: SELL})
    assert [told(trade) for trade in played.trades] == [(1, 2, 101.0, 107.0, "SIGNAL")]
    quantity = 1_000.0 / 101.0
    assert played.equity == [1_000.0, 1_000.0 + quantity * 4.0, 1_000.0 + quantity * 6.0] * 1 + [
        1_000.0 + quantity * 6.0
    ]


def test_nothing_fills_at_the_first_open_and_the_last_close_decides_nothing() -> None:
    """A flag at the last close finds no bar to be filled at."""
    played = play([FLAT, FLAT], {1: BUY})
    assert not played.trades


def test_flags_before_the_first_decision_are_not_heard() -> None:
    """Decisions begin where every input is defined."""
    assert not play([FLAT] * 4, {0: BUY}, first=1).trades


def test_a_position_open_at_the_end_is_valued_and_no_closed_trade() -> None:
    """It is listed last, at the last close."""
    played = play([FLAT, FLAT, flat(110.0)], {0: BUY})
    assert told(played.trades[0]) == (1, None, 100.0, 110.0, "OPEN")
    assert played.trades[0].net_profit == pytest.approx(100.0)
    assert played.trades[0].entry_bar == len(played.equity) - 2


def test_close_at_end_closes_at_the_last_close_with_costs() -> None:
    """Fee and slippage are taken, and the trade counts with reason END."""
    terms = replace(FREE, taker_fee_bps=10.0, slippage_bps=20.0, close_at_end=True)
    played = play([FLAT, FLAT, flat(110.0)], {0: BUY}, terms)
    entry, leave = 100.0 * 1.002, 110.0 * 0.998
    assert told(played.trades[0]) == (1, 2, entry, leave, "END")
    quantity = 1_000.0 / (entry * 1.001)
    fees = quantity * (entry + leave) * 0.001
    assert played.trades[0].fees == pytest.approx(fees)
    assert played.equity[-1] == pytest.approx(1_000.0 + quantity * (leave - entry) - fees)


def test_an_exit_wins_over_the_entry_of_its_side() -> None:
    """Held or flat, the entry is not taken."""
    assert not play([FLAT] * 3, {0: BUY | SELL}).trades
    played = play([FLAT] * 5, {0: BUY, 1: BUY | SELL})
    assert [told(trade)[:2] for trade in played.trades] == [(1, 2)]


def test_both_entries_at_once_are_neither_and_counted() -> None:
    """Flat stays flat, held stays held; an exit on the same bar still works."""
    played = play([FLAT] * 6, {0: BUY | SHORT, 1: BUY, 2: BUY | SHORT, 3: BUY | SHORT | COVER})
    assert [told(trade)[:2] for trade in played.trades] == [(2, None)]
    assert played.count(ledger.CONFLICTING_ENTRIES) == 2


def test_an_opposite_entry_reverses_at_one_price_with_two_fees() -> None:
    """The long is closed and the short opened at the same open."""
    terms = replace(FREE, taker_fee_bps=10.0)
    played = play([FLAT] * 4, {0: BUY, 1: SHORT}, terms)
    assert [told(trade) for trade in played.trades] == [
        (1, 2, 100.0, 100.0, "REVERSAL"),
        (2, None, 100.0, 100.0, "OPEN"),
    ]
    assert played.trades[1].quantity == pytest.approx(
        (1_000.0 + played.trades[0].net_profit) / 100.1
    )


def test_an_exit_with_an_opposite_entry_closes_by_signal_and_opens() -> None:
    """What crossovers do when both sides are allowed."""
    played = play([FLAT] * 4, {0: BUY, 1: SHORT | SELL})
    assert [trade.reason for trade in played.trades] == ["SIGNAL", "OPEN"]
    assert [trade.side for trade in played.trades] == [1, -1]


def test_entries_are_levels_and_enter_again_after_a_stop() -> None:
    """Stopped in one bar, the close of that bar decides anew."""
    terms = replace(FREE, stop_loss_ratio=0.1)
    bars = [FLAT, (100.0, 100.0, 85.0, 95.0), flat(96.0), flat(96.0)]
    played = play(bars, {0: BUY, 1: BUY}, terms)
    assert [told(trade) for trade in played.trades] == [
        (1, 1, 100.0, 90.0, "STOP_LOSS"),
        (2, None, 96.0, 96.0, "OPEN"),
    ]


def test_quantity_spends_the_fraction_fee_included() -> None:
    """Notional plus entry fee is the fraction of equity."""
    terms = replace(FREE, taker_fee_bps=100.0, position_fraction_ratio=0.5)
    trade = play([FLAT] * 2, {0: BUY}, terms).trades[0]
    assert trade.quantity * 100.0 + trade.fees == pytest.approx(500.0)


def test_a_touched_stop_fills_at_its_price_with_slippage() -> None:
    """The level is a fraction of the slipped entry fill, and a touch is enough."""
    terms = replace(FREE, slippage_bps=100.0, stop_loss_ratio=0.1)
    level = 101.0 * 0.9
    played = play([FLAT, FLAT, (95.0, 96.0, level, 95.0)], {0: BUY}, terms)
    assert told(played.trades[0]) == (1, 2, 101.0, level * 0.99, "STOP_LOSS")


def test_a_gapped_stop_fills_at_the_open_with_slippage() -> None:
    """The open beyond the stop is worse than the stop, and what one gets."""
    terms = replace(FREE, slippage_bps=100.0, stop_loss_ratio=0.1)
    played = play([FLAT, FLAT, (80.0, 96.0, 70.0, 95.0)], {0: BUY}, terms)
    assert told(played.trades[0]) == (1, 2, 101.0, 80.0 * 0.99, "STOP_LOSS")
    assert played.count(ledger.HELD_BARS) == 1


def test_a_take_profit_fills_at_its_limit_without_slippage_and_with_its_own_fee() -> None:
    """Also when the open gaps beyond it."""
    terms = replace(
        FREE,
        taker_fee_bps=10.0,
        take_profit_fee_bps=-5.0,
        slippage_bps=100.0,
        take_profit_ratio=0.1,
    )
    target = 101.0 * 1.1
    for bar in ((105.0, 120.0, 104.0, 110.0), (115.0, 120.0, 104.0, 110.0)):
        trade = play([FLAT, FLAT, bar], {0: BUY}, terms).trades[0]
        assert told(trade) == (1, 2, 101.0, target, "TAKE_PROFIT")
        assert trade.fees == pytest.approx(trade.quantity * (101.0 * 0.001 - target * 0.0005))


def test_a_gapped_take_profit_may_fill_at_the_better_open() -> None:
    """The option takes the open, still without slippage; inside the bar the limit stays."""
    terms = replace(FREE, take_profit_ratio=0.1, target_fill=TargetFill.BETTER_OPEN)
    gapped = play([FLAT, FLAT, (115.0, 120.0, 104.0, 110.0)], {0: BUY}, terms)
    touched = play([FLAT, FLAT, (105.0, 120.0, 104.0, 110.0)], {0: BUY}, terms)
    assert gapped.trades[0].exit_price == 115.0
    assert touched.trades[0].exit_price == 100.0 * 1.1


def test_levels_work_on_the_entry_bar() -> None:
    """The whole bar follows a fill at its open."""
    terms = replace(FREE, stop_loss_ratio=0.1)
    played = play([FLAT, (100.0, 101.0, 89.0, 100.0), FLAT], {0: BUY}, terms)
    assert told(played.trades[0]) == (1, 1, 100.0, 90.0, "STOP_LOSS")


@pytest.mark.parametrize(
    ("policy", "high", "low", "reason"),
    [
        (IntrabarPolicy.STOP_FIRST, 111.0, 80.0, "STOP_LOSS"),
        (IntrabarPolicy.TARGET_FIRST, 130.0, 89.0, "TAKE_PROFIT"),
        (IntrabarPolicy.NEAREST_EXTREME_FIRST, 111.0, 80.0, "TAKE_PROFIT"),
        (IntrabarPolicy.NEAREST_EXTREME_FIRST, 130.0, 89.0, "STOP_LOSS"),
        (IntrabarPolicy.NEAREST_EXTREME_FIRST, 115.0, 85.0, "STOP_LOSS"),
    ],
)
def test_a_bar_that_holds_stop_and_target_follows_the_policy(
    policy: IntrabarPolicy, high: float, low: float, reason: str
) -> None:
    """Such bars are counted, whoever comes first; equally near extremes stop."""
    terms = replace(FREE, stop_loss_ratio=0.1, take_profit_ratio=0.1, intrabar_policy=policy)
    played = play([FLAT, FLAT, (100.0, high, low, 100.0)], {0: BUY}, terms)
    assert played.trades[0].reason == reason
    assert played.count(ledger.AMBIGUOUS_BARS) == 1


def test_what_the_open_decides_is_not_ambiguous() -> None:
    """An open beyond the target takes profit though the bar falls through the stop later."""
    terms = replace(FREE, stop_loss_ratio=0.1, take_profit_ratio=0.1)
    played = play([FLAT, FLAT, (112.0, 112.0, 80.0, 85.0)], {0: BUY}, terms)
    assert played.trades[0].reason == "TAKE_PROFIT"
    assert played.count(ledger.AMBIGUOUS_BARS) == 0


def test_a_trailing_stop_ratchets_after_a_bar_has_been_checked() -> None:
    """A bar's own high raises the level for the next bar only, and it never falls."""
    terms = replace(FREE, trailing_stop_ratio=0.1)
    bars = [
        FLAT,
        (100.0, 120.0, 91.0, 110.0),
        (110.0, 110.0, 109.0, 109.0),
        (109.0, 109.0, 107.0, 108.0),
    ]
    played = play(bars, {0: BUY}, terms)
    assert told(played.trades[0]) == (1, 3, 100.0, 108.0, "TRAILING_STOP")


def test_a_trailing_stop_starts_at_the_fill_or_at_its_activation() -> None:
    """Without activation it guards from the fill; with one only after the move."""
    bars = [
        FLAT,
        (100.0, 104.0, 89.0, 95.0),
        (95.0, 106.0, 95.0, 100.0),
        (100.0, 100.0, 95.0, 95.0),
    ]
    at_once = play(bars, {0: BUY}, replace(FREE, trailing_stop_ratio=0.1))
    assert told(at_once.trades[0]) == (1, 1, 100.0, 90.0, "TRAILING_STOP")
    later = replace(FREE, trailing_stop_ratio=0.1, trailing_activation_ratio=0.05)
    assert told(play(bars, {0: BUY}, later).trades[0]) == (
        1,
        3,
        100.0,
        106.0 * 0.9,
        "TRAILING_STOP",
    )


def test_of_stop_and_trailing_stop_the_tighter_counts() -> None:
    """A tie is told as the stop."""
    bars = [FLAT, (100.0, 100.0, 80.0, 90.0)]
    for trail, price, reason in (
        (0.05, 95.0, "TRAILING_STOP"),
        (0.1, 90.0, "STOP_LOSS"),
        (0.2, 90.0, "STOP_LOSS"),
    ):
        terms = replace(FREE, stop_loss_ratio=0.1, trailing_stop_ratio=trail)
        assert told(play(bars, {0: BUY}, terms).trades[0])[3:] == (price, reason)


def test_a_signal_comes_before_a_gapped_stop_at_the_same_open() -> None:
    """Both would fill there; the reason is the signal."""
    terms = replace(FREE, stop_loss_ratio=0.1)
    played = play([FLAT, FLAT, flat(80.0)], {0: BUY, 1: SELL}, terms)
    assert told(played.trades[0]) == (1, 2, 100.0, 80.0, "SIGNAL")
