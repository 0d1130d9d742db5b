"""Strategies written down again, and the two paths through the engine."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from services.backtest.core import single
from services.backtest.core.batch import BatchResult, evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import ParameterType, Value
from services.backtest.core.sets.one_set import as_sets
from services.backtest.core.sparse import NOT_COVERED
from services.backtest.core.strategies import STRATEGIES, Strategy
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import sets_of, strategy_of

MARKET = markets.candles(31, 600, gaps=True, volatility=0.01)
FRAME = markets.frame(MARKET, 220, 220)


def random_sets(strategy: Strategy, count: int, seed: int) -> list[dict[str, Value]]:
    """Return sound sets with small periods."""
    chance = random.Random(seed)
    found: list[dict[str, Value]] = []
    while len(found) < count:
        one: dict[str, Value] = {}
        for info in strategy.parameters:
            if info.type is ParameterType.CATEGORY:
                one[info.name] = chance.choice(info.categories)
                continue
            assert info.minimum is not None
            assert info.maximum is not None
            if info.type is ParameterType.INT:
                one[info.name] = chance.randint(int(info.minimum), int(info.minimum) + 12)
            else:
                one[info.name] = chance.uniform(info.minimum, min(info.maximum, 100.0))
        if not strategy.problems(one):
            found.append(one)
    return found


def run(
    strategy: Strategy,
    values: list[dict[str, Value]],
    metrics: tuple[str, ...] = METRIC_NAMES,
    frame: Frame = FRAME,
    direction: Direction = Direction.LONG,
    **execution: Any,
) -> BatchResult:
    """Run sets."""
    return evaluate(
        frame, strategy, direction, sets_of(values), Execution(**execution), metrics, lambda: False
    )


def assert_same(one: BatchResult, other: BatchResult) -> None:
    """Equal bits of all metrics both have."""
    assert not one.failures
    assert not other.failures
    for name in one.values.keys() & other.values.keys():
        assert one.values[name].tobytes() == other.values[name].tobytes(), name
        np.testing.assert_array_equal(one.reasons[name], other.reasons[name])


@pytest.mark.parametrize("name", [one for one in STRATEGIES if STRATEGIES[one].parameters])
def test_a_built_in_sent_as_text_gives_the_same_bits(name: str) -> None:
    """Compiled again it is another program, with other rows of the same numbers."""
    built_in = STRATEGIES[name]
    copy = Strategy.compiled(built_in.definition, INDICATORS)
    assert copy.program is not built_in.program
    values = random_sets(built_in, 25, 3)
    fresh = markets.frame(MARKET, 220, 220)
    for direction in Direction:
        assert_same(
            run(built_in, values, direction=direction),
            run(copy, values, direction=direction, frame=fresh),
        )


@pytest.mark.parametrize(
    "name", ["ma_crossover", "rsi_reversion", "bollinger_reversion", "donchian_breakout"]
)
def test_which_metrics_are_wanted_changes_none(name: str) -> None:
    """Plain sets take the sparse path, or every bar where a metric asks for it."""
    strategy = STRATEGIES[name]
    values = random_sets(strategy, 40, 8)
    sparse = tuple(one for one in METRIC_NAMES if one not in NOT_COVERED)
    assert_same(run(strategy, values), run(strategy, values, sparse))
    for metric in ("total_return_ratio", "max_drawdown_ratio", "bar_sharpe_ratio"):
        assert_same(run(strategy, values), run(strategy, values, (metric,)))


@pytest.mark.parametrize("bars", [63, 64, 65, 127, 130])
def test_bars_behind_the_window_do_nothing(bars: int) -> None:
    """Conditions that always hold do so up to the last bar, whatever fits a word."""
    strategy = strategy_of(enter_long="not (close < 0)", exit_long="not (hour != 5)")
    frame = markets.frame(MARKET.slice(0, 200 + bars), 200, 0)
    sparse = tuple(one for one in METRIC_NAMES if one not in NOT_COVERED)
    told = single.run(frame, strategy, Direction.LONG, {}, Execution())
    for metrics in (METRIC_NAMES, sparse):
        found = run_without_parameters(strategy, frame, metrics)
        for name in metrics:
            value = float(found.values[name][0])
            assert value == told.metrics.get(name) or np.isnan(value), name
            assert (name in told.metrics) is not np.isnan(value), name
    assert told.trades[len(told.trades) - 1].exit_time_ms in {None, *told.open_time_ms.tolist()}


def run_without_parameters(
    strategy: Strategy, frame: Frame, metrics: tuple[str, ...]
) -> BatchResult:
    """Run the only set of a strategy that has no parameters."""
    return evaluate(
        frame, strategy, Direction.LONG, as_sets({}), Execution(), metrics, lambda: False
    )


def test_a_steady_stop_is_the_same_beside_one_out_of_bounds() -> None:
    """Such distances are numbers of the engine, or lines where a neighbour's is odd."""
    level = STRATEGIES["rsi_reversion"].parameters[1]
    strategy = strategy_of(
        parameters=(level,), enter_long="close > open", stop_loss=f"{level.name} / 1000"
    )
    sound: list[dict[str, Value]] = [{level.name: 5.0 + k} for k in range(8)]
    odd: list[dict[str, Value]] = [{level.name: level.minimum or 0.0}]
    alone, beside = run(strategy, sound), run(strategy, sound + odd)
    for name in METRIC_NAMES:
        assert alone.values[name].tobytes() == beside.values[name][:8].tobytes(), name
