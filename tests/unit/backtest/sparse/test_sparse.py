"""The fast path for plain sets against a loop over bars in plain Python, and against the engine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from services.backtest.core.engine import Signals, no_lines, run_many
from services.backtest.core.engine import wants_of as engine_wants_of
from services.backtest.core.execution import Execution
from services.backtest.core.metrics import METRIC_NAMES, Metric, UndefinedReason
from services.backtest.core.sparse import NOT_COVERED, ranges_of, run_plain, wants_of
from services.backtest.core.terms import terms_matrix, terms_of, tiers_of
from tests.unit.backtest.sparse.sparse_reference import (
    COSTLY,
    COVERED,
    check,
    empty,
    market_with,
    random_market,
    random_signals,
    run,
    words_of,
)

BY_RANGES = frozenset({"bar_sharpe_ratio", "max_drawdown_ratio", "calmar_ratio"})


@pytest.mark.parametrize("close_at_end", [False, True])
@pytest.mark.parametrize("share", [0.005, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("bars", [2, 3, 63, 64, 65, 66, 128, 129, 700])
def test_random_sets_trade_as_a_loop_over_bars_does(
    bars: int, share: float, close_at_end: bool
) -> None:
    """Ties, gaps, signals on every remainder of a word, and decisions from any bar on."""
    execution = replace(COSTLY, close_at_end=close_at_end)
    for seed in range(6):
        market = random_market(seed, bars)
        first = seed * (bars - 2) // 10
        check(market, *random_signals(seed + 100, bars, share), execution, first)


@pytest.mark.parametrize("execution", [COSTLY, replace(COSTLY, close_at_end=True)])
def test_the_paths_agree_to_the_bit(execution: Execution) -> None:
    """All metrics but the three that this path takes from ranges are those of the engine."""
    bars, sets = 1_500, 40
    market = random_market(1, bars)
    masks = [random_signals(seed, bars, 0.3 / (seed + 1)) for seed in range(sets)]
    enters, leaves = (words_of([pair[side] for pair in masks]) for side in (0, 1))
    firsts = np.arange(sets)
    ours, theirs = empty(sets), empty(sets)
    run_plain(
        market,
        ranges_of(market.bars),
        enters,
        leaves,
        firsts,
        terms_of(execution),
        wants_of(COVERED),
        *ours,
    )
    run_many(
        market,
        Signals(np.stack([enters, leaves]), np.array([0, 1, -1, -1]), firsts),
        no_lines(),
        terms_matrix(execution, {}, sets),
        tiers_of(execution),
        engine_wants_of(COVERED),
        0,
        sets,
        *theirs,
    )
    for name in COVERED:
        place = METRIC_NAMES.index(name)
        defined = ours[1][:, place] == 0
        np.testing.assert_array_equal(ours[1][:, place], theirs[1][:, place], name)
        one, other = ours[0][defined, place], theirs[0][defined, place]
        if name in BY_RANGES:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13, err_msg=name)
        else:
            np.testing.assert_array_equal(one, other, name)


def test_what_is_wanted_does_not_change_what_is_told() -> None:
    """Each metric alone has the bits it has among all; what is not covered stays undefined."""
    market = random_market(3, 900)
    signals = random_signals(4, 900, 0.05)
    every, _ = run(market, *signals)
    for name in COVERED:
        alone, _ = run(market, *signals, metrics=(name,))
        assert alone[name] == every[name] or (math.isnan(alone[name]) and math.isnan(every[name]))
    assert all(math.isnan(every[name]) for name in NOT_COVERED)


def test_an_exit_wins_over_an_entry_and_the_next_entry_may_come_a_bar_later() -> None:
    """Enter at 0, both at 2 (leaves), enter at 3 at the close of the bar of the exit."""
    opens = np.array([10.0, 10.0, 11.0, 12.0, 13.0, 14.0])
    enters, leaves = np.zeros(6, bool), np.zeros(6, bool)
    enters[[0, 2, 3]], leaves[2] = True, True
    free = Execution(taker_fee_bps=0.0, initial_capital_quote=1_000.0)
    values = check(market_with(opens, opens + 0.5), enters, leaves, free)
    assert values["trade_count"] == 1
    assert values["final_equity_quote"] == pytest.approx(1_000 * 12 / 10 * 14.5 / 13)
    assert values["exposure_ratio"] == pytest.approx(4 / 6)


def test_a_position_may_end_at_the_open_after_its_entry_bar() -> None:
    """The close of the entry bar decides as any other; every bar changes the position."""
    market = random_market(5, 200)
    values = check(market, np.arange(200) % 2 == 0, np.arange(200) % 2 == 1, COSTLY)
    assert values["trade_count"] == 99
    assert values["max_bars_held"] == 1


def test_the_last_close_decides_nothing() -> None:
    """Its order would have no open to fill at; the close before it is the last that counts."""
    market, nothing = random_market(6, 65), np.zeros(65, bool)
    late = nothing.copy()
    late[64] = True
    assert check(market, late, nothing, COSTLY)["exposure_ratio"] == 0.0
    late[63] = True
    assert check(market, late, nothing, COSTLY)["exposure_ratio"] == 1 / 65
    values = check(market, late, nothing, replace(COSTLY, close_at_end=True))
    assert values["trade_count"] == 1


def test_a_set_that_never_trades_has_no_variance_and_no_drawdown() -> None:
    """And no trades to judge; nothing is held."""
    market, nothing = random_market(7, 300), np.zeros(300, bool)
    values, reasons = run(market, nothing, ~nothing)
    assert values["total_return_ratio"] == 0.0
    assert values["max_drawdown_ratio"] == 0.0
    assert reasons["bar_sharpe_ratio"] == UndefinedReason.NO_VARIANCE
    assert reasons["sqn"] == UndefinedReason.NO_TRADES


def test_holding_from_the_first_bar_to_the_last_is_the_market() -> None:
    """One long stretch over many levels of the table, started by a signal that never ends."""
    market, always = random_market(8, 5_000), np.ones(5_000, bool)
    values = check(market, always, ~always, COSTLY)
    assert values["exposure_ratio"] == 4_999 / 5_000
    assert values["trade_count"] == 0


def test_a_market_that_stands_still_has_no_variance() -> None:
    """Free of cost, a position in it changes nothing either."""
    flat = np.full(100, 50.0)
    enters, leaves = random_signals(9, 100, 0.2)
    check(market_with(flat, flat), enters, leaves, Execution(taker_fee_bps=0.0))


def test_a_huge_jump_does_not_blur_the_returns_after_it() -> None:
    """Sums are of the stretch alone: differences of running totals would lose the small ones."""
    rng = np.random.default_rng(10)
    closes = np.exp(np.cumsum(rng.normal(0, 1e-4, 400)))
    closes[100:] *= 1e6
    enters, leaves = random_signals(11, 400, 0.1)
    enters[:101] = False
    market = market_with(np.concatenate([closes[:1], closes[:-1]]), closes)
    check(market, enters, leaves, Execution(taker_fee_bps=0.0))


def test_numbers_that_outgrow_a_double_are_told() -> None:
    """The set is marked as not finite and its neighbour is not."""
    closes = np.concatenate([np.full(10, 1e-3), np.full(10, 1e3)])
    market = market_with(closes, closes)
    signals = np.zeros((2, 20), bool)
    signals[0, 5] = True
    values, reasons, finite = empty(2)
    run_plain(
        market,
        ranges_of(market.bars),
        words_of(list(signals)),
        words_of([~signals[0] & False] * 2),
        np.zeros(2, np.int64),
        terms_of(Execution(initial_capital_quote=1e305)),
        wants_of(("total_return_ratio",)),
        values,
        reasons,
        finite,
    )
    assert finite.tolist() == [0, 1]


def test_a_set_without_a_first_decision_is_passed_over() -> None:
    """Its row stays as it was; the others do not notice."""
    market = random_market(12, 100)
    enters, leaves = random_signals(13, 100, 0.2)
    values, reasons, finite = empty(2)
    values[0] = 7.0
    run_plain(
        market,
        ranges_of(market.bars),
        words_of([enters] * 2),
        words_of([leaves] * 2),
        np.array([-1, 0]),
        terms_of(COSTLY),
        wants_of(()),
        values,
        reasons,
        finite,
    )
    assert (values[0] == 7.0).all()
    assert finite.tolist() == [1, 1]
    single, _ = run(market, enters, leaves, metrics=())
    assert values[1, Metric.FINAL_EQUITY_QUOTE] == single["final_equity_quote"]
