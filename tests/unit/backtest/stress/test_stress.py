"""Stress tests: each part against something that knows nothing of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core import single
from services.backtest.core.batch import Cancelled
from services.backtest.core.evaluation.workbench import workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.strategies import STRATEGIES, Definition, Strategy
from services.backtest.core.stress.noise import noisy
from services.backtest.core.stress.subject import Subject, later, measured
from services.backtest.core.stress.testing import Gap, StressPlan, StressResult, stress
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets

CROSSOVER = Subject(
    STRATEGIES["ma_crossover"],
    Direction.BOTH,
    {"fast_period": 5, "slow_period": 20},
    Execution(slippage_bps=1.0),
)
QUICK = StressPlan(noise_count=5, drop_count=200, entry_permutation_count=200)


def frame_of(bars: int = 600, seed: int = 3) -> Frame:
    """Return hours after some history."""
    return markets.frame(markets.candles(seed, bars + 40), 40, 40)


def written(**texts: Any) -> Strategy:
    """Return a strategy of these texts."""
    return Strategy.compiled(Definition(**texts), INDICATORS)


def stressed(frame: Frame, subject: Subject, plan: StressPlan = QUICK) -> StressResult:
    """Return what a stress test finds."""
    return stress(frame, subject, plan, lambda: False)


def test_costs_are_those_of_a_run_with_that_model() -> None:
    """Bit for bit, whatever the factor; the base is the run itself."""
    frame, usual = frame_of(), CROSSOVER.execution
    factors = (1.0, 2.0, 3.0, 0.0, 0.7)
    found = stressed(frame, CROSSOVER, replace(QUICK, cost_factors=factors))
    for factor, outcome in zip(factors, found.costs, strict=True):
        model = replace(
            usual,
            taker_fee_bps=usual.taker_fee_bps * factor,
            slippage_bps=usual.slippage_bps * factor,
        )
        own = CROSSOVER
        alone = single.run(frame, own.strategy, own.direction, own.values, model)
        assert outcome.run is not None
        assert outcome.run.metrics == alone.metrics
        assert outcome.run.reasons == alone.reasons
    assert found.costs[0].run is not None
    assert found.base.metrics == found.costs[0].run.metrics


def test_costs_beyond_their_limits_are_not_told() -> None:
    """A fee of 60 % is no fee of the model."""
    dear = replace(CROSSOVER, execution=Execution(taker_fee_bps=600.0))
    found = stressed(frame_of(), dear, replace(QUICK, cost_factors=(1.0, 2.0)))
    assert found.costs[0].run is not None
    assert (found.costs[1].run, found.costs[1].gap) == (None, Gap.COST_BEYOND_LIMIT)


@pytest.mark.parametrize("delay", [1, 2, 63, 64, 65, 130])
@pytest.mark.parametrize("direction", list(Direction))
def test_a_delay_is_a_shift_written_into_the_strategy(delay: int, direction: Direction) -> None:
    """Conditions, distances and shares of equity as they were some bars before."""
    frame = Frame(markets.candles(5, 400), 0, Interval.HOUR_1, 1_000)
    texts = {
        "enter_long": "close > open and hour < 9",
        "exit_long": "close < open and hour > 20",
        "enter_short": "close < open and hour < 5",
        "exit_short": "hour > 22",
    }
    numbers = {"stop_loss": "0.01 + hour / 1000", "position_fraction": "0.2 + hour / 40"}
    shifted = {
        name: f"shift(if_else({text}, 1, 0), {delay}) > 0" for name, text in texts.items()
    } | {name: f"shift({text}, {delay})" for name, text in numbers.items()}
    execution = Execution(take_profit_ratio=0.03, max_entry_count=2)
    own = Subject(written(**texts, **numbers), direction, {}, execution)
    found = measured(workbench_of(frame), own, delay)
    wanted = single.run(frame, written(**shifted), direction, {}, execution)
    assert found is not None
    assert found.first == wanted.first_decision_index == delay
    assert len(wanted.trades) > 0
    assert found.metrics == wanted.metrics
    np.testing.assert_array_equal(found.recorded.equity, wanted.equity)
    np.testing.assert_array_equal(found.recorded.position, wanted.position)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_late_entries_are_entries_a_bar_later(name: str) -> None:
    """Of every built-in strategy, long, without stops, the trades are the same but a bar later."""
    frame, strategy = frame_of(900), STRATEGIES[name]
    values = {"ma_crossover": {"fast_period": 5, "slow_period": 20}}.get(name, {})
    own = Subject(strategy, Direction.LONG, dict(values), Execution())
    frame = markets.frame(markets.candles(3, 1_100), 200, 200)
    timely, late = (measured(workbench_of(frame), own, delay) for delay in (0, 1))
    assert timely is not None
    assert late is not None
    base, moved = timely.recorded.trades, late.recorded.trades
    kept = min(len(base), len(moved)) - 1
    np.testing.assert_array_equal(moved[:kept, 1:3], base[:kept, 1:3] + 1.0)


def test_a_delay_that_leaves_no_bar_is_not_told() -> None:
    """With the reason."""
    found = stressed(frame_of(30), CROSSOVER, replace(QUICK, delay_bars=29))
    assert found.delay is not None
    assert (found.delay.run, found.delay.gap) == (None, Gap.WINDOW_TOO_SHORT)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 220))
def test_planes_move_bit_by_bit(bits: list[bool], delay: int) -> None:
    """What is beyond the last bar is gone."""
    words = np.zeros((1, 1, 4), np.uint64)
    for bar, bit in enumerate(bits):
        words[0, 0, bar // 64] |= np.uint64(bit) << np.uint64(bar % 64)
    moved = later(words, delay, len(bits))
    told = [
        bool(moved[0, 0, bar // 64] >> np.uint64(bar % 64) & np.uint64(1)) for bar in range(256)
    ]
    wanted = ([False] * delay + bits)[: len(bits)]
    assert told == wanted + [False] * (256 - len(bits))


def test_noise_of_ratio_0_changes_nothing() -> None:
    """Every market is the market."""
    plan = replace(QUICK, noise_ratio=0.0, metrics=("sharpe_ratio", "trade_count"))
    found = stressed(frame_of(), CROSSOVER, plan)
    assert found.noise is not None
    total = found.base.metrics["total_return_ratio"]
    assert (found.noise.total_returns.minimum, found.noise.total_returns.maximum) == (total, total)
    for name, values in found.noise.values.items():
        assert set(values.tolist()) == {found.base.metrics[name]}


@pytest.mark.parametrize("tick", [None, 0.5])
def test_noisy_bars_are_bars(tick: float | None) -> None:
    """Prices move by the ratio at most, extremes stay extremes, ticks are kept."""
    frame, ratio = frame_of(), 0.02
    model = Execution(tick_size_quote=tick)
    made = [noisy(frame, ratio, model, 9, number) for number in range(3)]
    again = noisy(frame, ratio, model, 9, 1).candles
    np.testing.assert_array_equal(again.close, made[1].candles.close)
    assert not np.array_equal(made[0].candles.close, made[1].candles.close)
    for market in made:
        new, old = market.candles, frame.candles
        assert (new.high >= np.maximum(new.open, new.close)).all()
        assert (new.low <= np.minimum(new.open, new.close)).all()
        assert (new.low > 0.0).all()
        slack = tick or 0.0
        assert (np.abs(new.close - old.close) <= ratio * old.close + slack).all()
        if tick:
            steps = np.stack([new.open, new.high, new.low, new.close]) / tick
            np.testing.assert_array_equal(steps, np.rint(steps))


def test_no_dropped_trade_is_the_account_itself() -> None:
    """And with all of them dropped nothing was won."""
    frame = frame_of()
    none = stressed(frame, CROSSOVER, replace(QUICK, drop_probability=0.0)).drops
    every = stressed(frame, CROSSOVER, replace(QUICK, drop_probability=1.0)).drops
    assert none is not None
    assert every is not None
    total = stressed(frame, CROSSOVER).base.metrics["total_return_ratio"]
    assert none.total_returns.minimum == pytest.approx(total, rel=1e-9)
    assert none.total_returns.maximum == pytest.approx(total, rel=1e-9)
    assert (every.total_returns.minimum, every.total_returns.maximum) == (0.0, 0.0)


def test_dropped_trades_have_the_mean_of_their_probability() -> None:
    """The expected account is the product of what each trade is expected to be."""
    frame = frame_of()
    found = stressed(frame, CROSSOVER, replace(QUICK, drop_count=10_000, drop_probability=0.3))
    account, expected = CROSSOVER.execution.initial_capital_quote, 1.0
    own = CROSSOVER
    for trade in single.run(frame, own.strategy, own.direction, own.values, own.execution).trades:
        expected *= 0.3 + 0.7 * (1.0 + trade.net_profit_quote / account)
        account += trade.net_profit_quote
    assert found.drops is not None
    told = found.drops.total_returns
    assert told.mean is not None
    assert told.deviation is not None
    assert told.mean == pytest.approx(expected - 1.0, abs=4 * told.deviation / math.sqrt(10_000))


def test_the_actual_placement_is_worth_what_the_run_is() -> None:
    """Where orders alone end trades, and the last one is closed or none is open."""
    for seed in range(4):
        found = stressed(frame_of(seed=seed), CROSSOVER)
        assert found.permutation is not None
        assert found.permutation.actual == pytest.approx(
            found.base.metrics["total_return_ratio"], abs=2e-3
        )


def test_planted_timing_is_told_from_chance() -> None:
    """A market that rises at known hours alone, and a strategy that holds at these."""
    bars = 24 * 120
    hours = np.arange(bars) % 24
    changes = np.where(hours == 5, 0.01, -0.00043) + np.random.default_rng(1).normal(0, 0.002, bars)
    close = 100.0 * np.cumprod(1.0 + changes)
    opens = np.concatenate([[100.0], close[:-1]])
    columns = (
        markets.START_MS + 3_600_000 * np.arange(bars),
        opens,
        np.maximum(opens, close),
        np.minimum(opens, close),
        close,
        np.ones(bars),
    )
    frame = Frame(Candles.from_columns(columns), 0, Interval.HOUR_1, 0)
    knowing = written(enter_long="hour == 4", exit_long="hour == 5")
    blind = written(enter_long="hour == 14", exit_long="hour == 15")
    values = []
    for strategy in (knowing, blind):
        own = Subject(strategy, Direction.LONG, {}, Execution())
        found = stressed(frame, own, replace(QUICK, entry_permutation_count=999)).permutation
        assert found is not None
        values.append(found.p_value)
    assert values[0] == 1 / 1_000
    assert values[1] is not None
    assert values[1] > 0.2


def test_p_values_of_random_entries_are_spread_evenly() -> None:
    """Without an edge a p-value below x comes about x of the time."""
    p_values = []
    for seed in range(60):
        frame = markets.frame(markets.candles(seed, 500), 0, 0)
        hour = seed % 24
        own = Subject(
            written(enter_long=f"hour == {hour}", exit_long=f"hour == {(hour + 6) % 24}"),
            Direction.LONG,
            {},
            Execution(),
        )
        plan = replace(QUICK, noise_count=0, drop_count=0, entry_permutation_count=99)
        found = stressed(frame, own, plan).permutation
        assert found is not None
        assert found.p_value is not None
        p_values.append(found.p_value)
    below = np.mean(np.array(p_values)[:, np.newaxis] <= np.array([0.25, 0.5, 0.75]), axis=0)
    # Four deviations of a share of 60.
    np.testing.assert_allclose(below, [0.25, 0.5, 0.75], atol=4 * 0.065)


def test_what_cannot_be_told_has_a_reason() -> None:
    """No trades; one trade over the whole window."""
    never = Subject(written(enter_long="close < 0"), Direction.LONG, {}, Execution())
    found = stressed(frame_of(), never)
    assert found.drops is not None
    assert found.permutation is not None
    assert (found.drops.gap, found.permutation.gap) == (Gap.NO_TRADES, Gap.NO_TRADES)
    assert found.permutation.p_value is None
    held = Subject(STRATEGIES["buy_and_hold"], Direction.LONG, {}, Execution())
    assert stressed(frame_of(), held).permutation.gap is Gap.ONE_PLACEMENT  # type: ignore[union-attr]


def test_a_cancelled_test_ends() -> None:
    """Before the next run."""
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        stress(frame_of(), CROSSOVER, QUICK, lambda: next(asked))
