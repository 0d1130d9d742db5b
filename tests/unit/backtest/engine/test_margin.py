"""Margin, liquidation, funding, order rules, sizes and added entries, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from services.backtest.core import ledger
from services.backtest.core.engine.inputs import (
    FRACTION_LINE,
    STOP_LINE,
    VOLATILITY_LINE,
)
from services.backtest.core.execution import Execution, IntrabarPolicy, RiskTier
from tests.unit.backtest.engine.engine_room import (
    BUY,
    FLAT,
    FREE,
    SELL,
    SHORT,
    Bar,
    flat,
    play,
    told,
)

BYBIT = Execution(
    initial_capital_quote=10_000.0,
    taker_fee_bps=0.0,
    leverage=50.0,
    position_quantity_base=1.0,
    risk_tiers=(RiskTier(None, 0.005),),
)
"""Bybit's published example: 1 BTC at 20,000 with 50x and 0.5 % maintenance: 19,700."""
AT_20_000 = flat(20_000.0)


def test_bybits_example_is_liquidated_at_19_700_and_loses_its_margin() -> None:
    """Entry 20,000, margin 400, maintenance 100: untouched at 19,700.1, liquidated at 19,700."""
    above: Bar = (20_000.0, 20_000.0, 19_700.1, 20_000.0)
    touched: Bar = (20_000.0, 20_000.0, 19_700.0, 20_000.0)
    assert not play([AT_20_000, above], {0: BUY}, BYBIT).count(ledger.LIQUIDATIONS)
    played = play([AT_20_000, AT_20_000, touched, AT_20_000], {0: BUY}, BYBIT)
    assert told(played.trades[0]) == (1, 2, 20_000.0, 19_600.0, "LIQUIDATION")
    assert played.trades[0].liquidation_loss == 400.0
    assert played.trades[0].net_profit == -400.0
    assert played.equity == [10_000.0, 10_000.0, 9_600.0, 9_600.0]


def test_a_short_is_liquidated_above_its_entry() -> None:
    """The mirror image: 20,300, bankrupt at 20,400."""
    touched: Bar = (20_000.0, 20_300.0, 20_000.0, 20_000.0)
    trade = play([AT_20_000, touched], {0: SHORT}, BYBIT).trades[0]
    assert told(trade) == (1, 1, 20_000.0, 20_400.0, "LIQUIDATION")


def test_a_tiers_deduction_moves_the_liquidation_price_away() -> None:
    """0.01 x 20,000 - 50 = 150 are kept of 400: liquidated 250 below the entry."""
    tiers = (RiskTier(10_000.0, 0.005), RiskTier(50_000.0, 0.01, 50.0), RiskTier(None, 0.5))
    model = replace(BYBIT, risk_tiers=tiers)
    above: Bar = (20_000.0, 20_000.0, 19_750.5, 20_000.0)
    touched: Bar = (20_000.0, 20_000.0, 19_750.0, 20_000.0)
    assert not play([AT_20_000, above], {0: BUY}, model).count(ledger.LIQUIDATIONS)
    assert play([AT_20_000, touched], {0: BUY}, model).count(ledger.LIQUIDATIONS) == 1


def test_the_liquidation_fee_adds_to_what_is_lost() -> None:
    """10 bps of the notional at the bankruptcy price, 19,600."""
    model = replace(BYBIT, liquidation_fee_bps=10.0)
    trade = play([AT_20_000, AT_20_000, flat(19_000.0)], {0: BUY}, model).trades
    assert trade[0].liquidation_loss == pytest.approx(400.0 + 19.6)
    assert trade[0].fees == 0.0


def test_the_mark_price_liquidates_not_the_last_price() -> None:
    """Where mark prices are given the bars' own extremes do not count, and the other way round."""
    deep: Bar = (20_000.0, 20_000.0, 19_000.0, 20_000.0)
    spared = play([AT_20_000, deep], {0: BUY}, BYBIT, mark=[AT_20_000] * 2)
    assert spared.trades[0].reason == "OPEN"
    hit = play([AT_20_000] * 2, {0: BUY}, BYBIT, mark=[AT_20_000, deep])
    assert hit.trades[0].reason == "LIQUIDATION"


def test_of_stop_and_liquidation_the_nearer_comes_first_but_an_open_beyond_liquidates() -> None:
    """A stop 1 % away guards a position liquidated 1.5 % away, except from a gap."""
    stopped = replace(BYBIT, stop_loss_ratio=0.01)
    fall: Bar = (20_000.0, 20_000.0, 19_000.0, 19_000.0)
    assert told(play([AT_20_000, AT_20_000, fall], {0: BUY}, stopped).trades[0])[3:] == (
        19_800.0,
        "STOP_LOSS",
    )
    gap = play([AT_20_000, AT_20_000, flat(19_650.0)], {0: BUY}, stopped)
    assert gap.trades[0].reason == "LIQUIDATION"
    far = replace(BYBIT, stop_loss_ratio=0.02)
    assert play([AT_20_000, AT_20_000, fall], {0: BUY}, far).trades[0].reason == "LIQUIDATION"


def test_an_open_beyond_the_liquidation_price_comes_before_the_order_to_sell() -> None:
    """Isolated: no fill loses more than the margin; the opposite entry still happens."""
    bars = [AT_20_000, AT_20_000, flat(15_000.0), flat(15_000.0)]
    sold = play(bars, {0: BUY, 1: SELL}, BYBIT)
    assert [trade.reason for trade in sold.trades] == ["LIQUIDATION"]
    turned = play(bars, {0: BUY, 1: SHORT}, BYBIT)
    assert [trade.reason for trade in turned.trades] == ["LIQUIDATION", "OPEN"]
    assert turned.trades[1].entry_bar == 2


def test_leverage_multiplies_the_notional_and_fees_are_on_all_of_it() -> None:
    """Notional plus entry fee is fraction x equity x leverage; both fees on full notional."""
    model = Execution(
        initial_capital_quote=1_000.0,
        taker_fee_bps=10.0,
        position_fraction_ratio=0.5,
        leverage=4.0,
    )
    trade = play([FLAT, FLAT, flat(101.0)], {0: BUY, 1: SELL}, model).trades[0]
    quantity = 0.5 * 1_000.0 * 4.0 / (100.0 * 1.001)
    assert trade.quantity == quantity
    assert trade.fees == pytest.approx(quantity * 100.0 * 0.001 + quantity * 101.0 * 0.001)
    assert trade.net_profit == pytest.approx(quantity * 1.0 - trade.fees)


def test_funding_at_an_open_is_paid_by_what_was_carried_in() -> None:
    """10 units at 100 and 0.1 %: a long pays 1, a short receives it; buyers at that open do not."""
    rates = {1.0: 0.5, 2.0: 0.001}
    long = play([FLAT] * 4, {0: BUY}, funding=rates)
    assert long.trades[0].funding == pytest.approx(1.0)
    assert long.equity == pytest.approx([1_000.0, 1_000.0, 999.0, 999.0])
    assert play([FLAT] * 4, {0: SHORT}, funding=rates).trades[0].funding == pytest.approx(-1.0)
    sold = play([FLAT] * 4, {0: BUY, 1: SELL}, funding=rates)
    assert sold.trades[0].funding == pytest.approx(1.0)
    assert sold.trades[0].net_profit == pytest.approx(-1.0)


def test_funding_inside_a_bar_is_paid_after_its_fills_and_before_its_stops() -> None:
    """Half past: who bought at the open pays, though stopped in the same bar."""
    stopped = replace(FREE, stop_loss_ratio=0.1)
    bars = [FLAT, (100.0, 100.0, 80.0, 80.0), FLAT]
    assert play(bars, {0: BUY}, stopped, funding={1.5: 0.001}).trades[0].funding == (
        pytest.approx(1.0)
    )
    assert play([FLAT] * 3, {0: BUY, 1: SELL}, funding={2.5: 0.001}).trades[0].funding == 0.0


@pytest.mark.parametrize(("late_ms", "paid"), [(0, 0.0), (1_000, 0.0), (1_001, 1.0)])
def test_settlements_within_a_second_of_an_open_count_as_at_it(late_ms: int, paid: float) -> None:
    """Who buys at that open does not pay what was settled up to a second later."""
    played = play([FLAT] * 3, {0: BUY}, funding={1 + late_ms / 3_600_000: 0.001})
    assert played.trades[0].funding == pytest.approx(paid)


def test_settlements_of_one_bar_add_up_and_count_at_the_mark_price() -> None:
    """The mark series' open of the bar that holds the stamps."""
    marks = [flat(200.0)] * 3
    played = play([FLAT] * 3, {0: BUY}, funding={2.2: 0.001, 2.6: 0.002}, mark=marks)
    assert played.trades[0].funding == pytest.approx(10.0 * 200.0 * 0.003)


def test_fills_are_rounded_to_the_tick_against_the_trader() -> None:
    """Buys up, sells down, in true decimals; what is a multiple but for noise stays."""
    model = replace(FREE, tick_size_quote=0.1)
    trade = play([FLAT, flat(100.23), flat(100.57)], {0: BUY, 1: SELL}, model).trades[0]
    assert (trade.entry_price, trade.exit_price) == (100.3, 100.5)
    noisy = 0.1 * 3 * 1_001  # 300.30000000000007
    assert play([FLAT, flat(noisy)], {0: BUY}, model).trades[0].entry_price == 300.3
    target = replace(model, take_profit_ratio=0.00333)
    assert play([FLAT, FLAT, flat(101.0)], {0: BUY}, target).trades[0].exit_price == 100.3


def test_slippage_in_ticks_adds_to_slippage_in_bps() -> None:
    """1 % and two ticks of a half."""
    model = replace(FREE, slippage_bps=100.0, slippage_ticks=2.0, tick_size_quote=0.5)
    trade = play([FLAT, FLAT, FLAT], {0: BUY, 1: SELL}, model).trades[0]
    assert (trade.entry_price, trade.exit_price) == (102.0, 98.0)


def test_quantities_are_rounded_down_and_small_orders_are_rejected() -> None:
    """9.99 units of a step of 0.25; a minimum above rejects, and the rejection is counted."""
    model = replace(FREE, quantity_step_base=0.25)
    assert play([FLAT, flat(100.1)], {0: BUY}, model).trades[0].quantity == 9.75
    for least in (
        replace(model, minimum_quantity_base=9.8),
        replace(model, minimum_notional_quote=980.0),
        replace(model, quantity_step_base=50.0),
    ):
        played = play([FLAT, flat(100.1)], {0: BUY}, least)
        assert not played.trades
        assert played.count(ledger.REJECTED_ORDERS) == 1


def test_orders_larger_than_equity_and_leverage_allow_are_rejected() -> None:
    """1,000 of equity buy 1,000 of notional, or 2,000 with leverage 2, and no more."""
    for quote, leverage, trades in ((1_000.0, None, 1), (1_001.0, None, 0), (1_001.0, 2.0, 1)):
        model = replace(FREE, position_quote=quote, leverage=leverage)
        assert len(play([FLAT] * 2, {0: BUY}, model).trades) == trades


def test_every_way_to_size_a_position() -> None:
    """A quote sum, a quantity, a risk, a volatility, each at an entry of 100 with 1,000."""
    for model, quantity in (
        (replace(FREE, position_quote=500.0), 5.0),
        (replace(FREE, position_quantity_base=3.0), 3.0),
        (replace(FREE, risk_per_trade_ratio=0.01, stop_loss_ratio=0.05), 2.0),
        (replace(FREE, risk_per_trade_ratio=0.9, stop_loss_ratio=0.05), 10.0),
    ):
        assert play([FLAT] * 2, {0: BUY}, model).trades[0].quantity == pytest.approx(quantity)
    aimed = replace(FREE, volatility_target_ratio=0.2)
    for volatility, quantity in ((0.8, 2.5), (0.1, 10.0)):
        played = play([FLAT] * 2, {0: BUY}, aimed, lines={VOLATILITY_LINE: [volatility, math.nan]})
        assert played.trades[0].quantity == pytest.approx(quantity)
    geared = replace(aimed, leverage=3.0)
    played = play([FLAT] * 2, {0: BUY}, geared, lines={VOLATILITY_LINE: [0.1, math.nan]})
    assert played.trades[0].quantity == pytest.approx(20.0)


def test_shares_may_count_from_the_initial_capital() -> None:
    """After a profit of 100 the next position is no larger than the first."""
    model = replace(FREE, position_fraction_ratio=0.5, size_on_initial_capital=True)
    bars = [FLAT, FLAT, flat(120.0), flat(120.0), flat(120.0)]
    played = play(bars, {0: BUY, 1: SELL, 2: BUY}, model)
    assert played.trades[1].quantity == pytest.approx(500.0 / 120.0)


def test_lines_are_read_at_the_close_that_decides() -> None:
    """The stop and the share of the deciding bar hold; unusable ones reject the order."""
    nan = math.nan
    stops = {STOP_LINE: [0.1, nan, nan], FRACTION_LINE: [0.5, nan, nan]}
    trade = play([FLAT, FLAT, flat(50.0)], {0: BUY}, lines=stops).trades[0]
    assert trade.quantity == 5.0
    assert trade.reason == "STOP_LOSS"
    for bad in (nan, 0.0, -0.1, 1.0):
        played = play([FLAT] * 3, {0: BUY}, lines={STOP_LINE: [bad] * 3})
        assert played.count(ledger.REJECTED_ORDERS) == 1


def test_entries_are_added_up_to_the_most_and_levels_count_from_the_mean() -> None:
    """100 for 100 and 100 for 120: the stop lies 10 % below the mean of both."""
    model = replace(FREE, position_quote=100.0, max_entry_count=2, stop_loss_ratio=0.1)
    bars = [FLAT, FLAT, flat(120.0), flat(120.0), (120.0, 120.0, 90.0, 95.0)]
    played = play(bars, dict.fromkeys(range(5), BUY), model)
    first = played.trades[0]
    quantity = 1.0 + 100.0 / 120.0
    assert first.entry_count == 2
    assert first.quantity == pytest.approx(quantity)
    assert first.entry_price == pytest.approx(200.0 / quantity)
    assert first.exit_price == pytest.approx(180.0 / quantity)
    assert played.count(ledger.ADDED_ENTRIES) == 1
    single = play(bars, dict.fromkeys(range(5), BUY), replace(model, max_entry_count=1))
    assert single.trades[0].entry_count == 1


def test_shorter_candles_tell_what_an_ambiguous_bar_did_first() -> None:
    """The first that touches one level alone decides; one that touches both leaves the policy."""
    model = replace(FREE, stop_loss_ratio=0.1, take_profit_ratio=0.1)
    bars = [FLAT, FLAT, (100.0, 111.0, 89.0, 100.0)]
    up, down, both = (100.0, 111.0, 99.0, 105.0), (100.0, 101.0, 89.0, 95.0), bars[2]
    for minutes, reason, resolved in (
        ({2.25: up, 2.5: down}, "TAKE_PROFIT", 1),
        ({2.0: FLAT, 2.25: down, 2.5: up}, "STOP_LOSS", 1),
        ({2.25: both, 2.5: up}, "STOP_LOSS", 0),
        ({1.75: up}, "STOP_LOSS", 0),
    ):
        played = play(bars, {0: BUY}, model, detail=minutes)
        assert played.trades[0].reason == reason
        assert played.count(ledger.RESOLVED_BARS) == resolved
        assert played.count(ledger.AMBIGUOUS_BARS) == 1
    hopeful = replace(model, intrabar_policy=IntrabarPolicy.TARGET_FIRST)
    assert play(bars, {0: BUY}, hopeful, detail={2.25: both}).trades[0].reason == "TAKE_PROFIT"
