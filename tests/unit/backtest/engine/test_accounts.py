"""What holds for the engine on every market: money conserved, mirror images, groups of metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.backtest.core import ledger
from services.backtest.core.engine import ALL_WANTS, METRICS, Lines, Signals, run_many, wants_of
from services.backtest.core.execution import Execution
from services.backtest.core.frame import Frame, Funding
from services.backtest.core.market import market_of
from services.backtest.core.metrics import METRIC_NAMES, Metric
from services.backtest.core.terms import terms_matrix, tiers_of
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest.engine.engine_room import (
    BUY,
    COVER,
    HOUR_MS,
    SELL,
    SHORT,
    START_MS,
    lines_of,
    play,
    signals_of,
)
from tests.unit.backtest.engine.random_cases import (
    LINES,
    Case,
    Ground,
    case_of,
    engine_runs,
    ground_of,
    walk,
)
from tests.unit.backtest.engine.reference_window import Beside


def identity_gap(ground: Ground, case: Case) -> float:
    """Return the largest distance of equity from capital + gross - fees - funding - losses."""
    recorded = engine_runs(ground, case)
    if recorded.counts[ledger.BUSTS]:
        return 0.0
    capital, bars = case.execution.initial_capital_quote, ground.bars
    closes = ground.frame.candles.close
    signed = recorded.position
    settled = capital
    gap = 0.0
    rows = list(recorded.trades)
    for bar in range(bars):
        for row in rows:
            if row[ledger.EXIT_BAR] == bar:
                settled += row[ledger.NET_PROFIT]
        held = [
            row
            for row in rows
            if row[ledger.ENTRY_BAR] <= bar
            and not 0 <= row[ledger.EXIT_BAR] <= bar
            and row[ledger.ENTRY_COUNT] == 1
        ]
        expected = settled
        if held:
            row = held[0]
            fee = row[ledger.QUANTITY] * row[ledger.ENTRY_PRICE]
            fee *= case.execution.taker_fee_bps / 1e4
            expected += signed[bar] * (closes[bar] - row[ledger.ENTRY_PRICE]) - fee
        elif signed[bar] != 0.0:
            continue
        gap = max(gap, abs(recorded.equity[bar] - expected) / capital)
    return gap


@pytest.mark.parametrize("chunk", range(4))
def test_equity_is_capital_and_gross_less_fees_funding_and_liquidation_losses(chunk: int) -> None:
    """At every close, to rounding; closed trades tell their own net profit by the same identity."""
    for seed in range(100 * chunk, 100 * chunk + 100):
        ground = ground_of(seed)
        case = case_of(seed, ground.bars)
        unfunded = replace(ground, market=ground.market)
        if ground.frame.funding is not None:
            continue
        assert identity_gap(unfunded, case) < 1e-9, seed


@pytest.mark.parametrize("chunk", range(4))
def test_net_profits_and_what_is_open_make_up_the_last_equity(chunk: int) -> None:
    """With funding too: the sum over trades, the open one included, is what equity gained."""
    for seed in range(100 * chunk, 100 * chunk + 100):
        ground = ground_of(seed)
        case = case_of(seed, ground.bars)
        recorded = engine_runs(ground, case)
        if recorded.counts[ledger.BUSTS]:
            continue
        gained = recorded.trades[:, ledger.NET_PROFIT].sum()
        capital = case.execution.initial_capital_quote
        assert recorded.equity[-1] == pytest.approx(capital + gained, rel=1e-9, abs=1e-9 * capital)


@pytest.mark.parametrize("seed", range(200))
def test_a_short_mirrors_a_long(seed: int) -> None:
    """Prices K - p, a fixed quantity and no costs: both sides earn the same at every bar."""
    rng = np.random.default_rng(seed)
    bars = np.stack(walk(rng, 60))
    mirror = 2.0 * bars[0, 1]
    reflected = mirror - bars[[0, 2, 1, 3]]
    if reflected.min() <= 0.0:
        return
    model = Execution(
        initial_capital_quote=1e6,
        taker_fee_bps=0.0,
        position_quantity_base=1.0,
        stop_loss_ratio=float(rng.uniform(0.01, 0.2)),
        take_profit_ratio=float(rng.uniform(0.01, 0.2)),
        leverage=float(rng.choice([1.0, 10.0])),
        close_at_end=bool(rng.random() < 0.5),
    )
    leave = int(rng.integers(2, 59))
    funding = {5.0: 0.001, 9.5: -0.002}
    marks = [(mirror / 2,) * 4] * 60
    long = play(
        [tuple(bar) for bar in bars.T], {0: BUY, leave: SELL}, model, funding=funding, mark=marks
    )
    short = play(
        [tuple(bar) for bar in reflected.T],
        {0: SHORT, leave: COVER},
        model,
        funding={at: -rate for at, rate in funding.items()},
        mark=marks,
    )
    assert [trade.reason for trade in long.trades] == [trade.reason for trade in short.trades]
    assert long.recorded.counts.tolist() == short.recorded.counts.tolist()
    np.testing.assert_allclose(long.equity, short.equity, rtol=1e-9)


def many(ground: Ground, cases: list[Case], wants: int) -> tuple[np.ndarray, np.ndarray]:
    """Run cases of one execution model together; return values and reasons."""
    one = [signals_of(case.flags, case.first) for case in cases]
    signals = Signals(
        np.concatenate([each.planes for each in one], axis=1),
        one[0].of,
        np.concatenate([each.firsts for each in one]),
    )
    drawn = [
        lines_of({LINES.index(name): row for name, row in case.lines.items()}, ground.bars)
        for case in cases
    ]
    rows = np.zeros((sum(len(each.rows) for each in drawn), ground.bars))
    of = np.full((len(cases), len(LINES)), -1)
    begin = 0
    for index, each in enumerate(drawn):
        count = len(each.rows) if len(each.of) else 0
        if count:
            rows[begin : begin + count] = each.rows
            of[index] = np.where(each.of[0] >= 0, each.of[0] + begin, -1)
        begin += count
    values = np.full((len(cases), METRICS), 7.0)
    reasons, finite = np.full((len(cases), METRICS), 7, np.uint8), np.zeros(len(cases), np.uint8)
    half = len(cases) // 2
    for span in ((0, half), (half, len(cases))):
        run_many(
            ground.market,
            signals,
            Lines(rows, of),
            np.concatenate([terms_matrix(case.execution, {}, 1) for case in cases]),
            tiers_of(cases[0].execution),
            wants,
            *span,
            values,
            reasons,
            finite,
        )
    return values, reasons


@pytest.mark.parametrize("seed", range(60))
def test_a_metric_is_the_same_alone_and_in_company(seed: int) -> None:
    """Sets run together give the bits of each alone, whatever other metrics are asked for."""
    ground = ground_of(seed)
    cases = [case_of(1_000 * seed + number, ground.bars) for number in range(8)]
    tiers = cases[0].execution.risk_tiers
    cases = [replace(case, execution=replace(case.execution, risk_tiers=tiers)) for case in cases]
    alone = [engine_runs(ground, case) for case in cases]
    known = np.array([each.values for each in alone])
    values, reasons = many(ground, cases, ALL_WANTS)
    np.testing.assert_array_equal(values, known)
    np.testing.assert_array_equal(reasons, [each.reasons for each in alone])
    rng = np.random.default_rng(seed)
    names = rng.choice(METRIC_NAMES, 3, replace=False).tolist()
    values, _ = many(ground, cases, wants_of(names))
    places = [METRIC_NAMES.index(name) for name in names]
    np.testing.assert_array_equal(values[:, places], known[:, places])


@pytest.mark.parametrize("spacing", [1, 3, 7, 8, 9, 40])
def test_settlements_are_paid_where_they_fall_however_many_bars_are_drawn_at_once(
    spacing: int,
) -> None:
    """A set run alone walks from settlement to settlement, one in company does not; same bits."""
    rng, bars = np.random.default_rng(spacing), 400
    times = START_MS + HOUR_MS * np.arange(bars)
    candles = Candles.from_columns([times, *walk(rng, bars), np.zeros(bars)])
    stamps = times[spacing // 2 :: spacing] + rng.choice([0, HOUR_MS // 2])
    funding = Funding(stamps, rng.normal(0.0, 0.01, len(stamps)))
    frame = Frame(candles, 0, Interval.HOUR_1, 0, funding)
    ground = Ground(frame, market_of(frame), [True] * bars, Beside())
    model = Execution(trailing_stop_ratio=0.4, leverage=2.0)
    flags = [rng.choice([0, BUY, SELL | SHORT, SHORT], bars, p=[0.97, 0.01, 0.01, 0.01])]
    flags.append(np.where(np.arange(bars) == 5, BUY, 0))
    flags.append(np.where(np.arange(bars) == 6, SHORT, 0))
    for execution in (model, Execution()):
        cases = [Case(one.tolist(), 0, execution, {}) for one in flags]
        alone = [engine_runs(ground, case) for case in cases]
        values, reasons = many(ground, cases, ALL_WANTS)
        np.testing.assert_array_equal(values, [each.values for each in alone])
        np.testing.assert_array_equal(reasons, [each.reasons for each in alone])
        assert all(each.values[Metric.FUNDING_QUOTE] != 0.0 for each in alone)
