"""Sums over daily returns: those of each set's own equity, on every path, however they are cut."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from services.backtest.core import single
from services.backtest.core.batch import evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Numbers
from services.backtest.core.measures.return_sums import ReturnAdder, ReturnSums, WantedReturns
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.backtest.core.sets import comparing
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.strategies import STRATEGIES
from services.common.intervals import DAY_MS, Interval
from tests.unit.backtest import markets

CROSSOVER = STRATEGIES["ma_crossover"]
FAST = [2, 3, 5, 9, 4, 0]
SLOW = [7, 20, 50, 40, 30, 20]
"""The last set has no average."""


def frame_of(bars: int = 1_000) -> Frame:
    """Return hours from a midnight on, after four days of history."""
    market = markets.candles(5, bars + 96, decimals=1)
    return markets.frame(market, 96, 96)


def sums_of(
    frame: Frame,
    execution: Execution,
    *,
    metrics: tuple[str, ...] = ("sharpe_ratio",),
    blocks: int = 16,
    direction: Direction = Direction.LONG,
    wanted: WantedReturns | None = None,
) -> ReturnSums:
    """Return the sums of the sets."""
    columns = {"fast_period": np.array(FAST), "slow_period": np.array(SLOW)}
    sets = ParameterSets(len(FAST), dict(columns))
    wanted = wanted or WantedReturns(blocks)
    found = evaluate(
        frame, CROSSOVER, direction, sets, execution, metrics, lambda: False, wanted
    ).returns
    assert found is not None
    return found


def returns_of(frame: Frame, place: int, execution: Execution, direction: Direction) -> Numbers:
    """Return a set's daily returns from its equity at every close."""
    values = {"fast_period": FAST[place], "slow_period": SLOW[place]}
    told = single.run(frame, CROSSOVER, direction, values, execution)
    closed = told.open_time_ms + Interval.HOUR_1.length_ms
    begin, end = int(told.open_time_ms[0]), int(closed[-1])
    levels = []
    for midnight in range(-(-begin // DAY_MS) * DAY_MS, end + 1, DAY_MS):
        known = int(np.searchsorted(closed, midnight, side="right"))
        levels.append(told.equity[known - 1] if known else execution.initial_capital_quote)
    found: Numbers = np.diff(levels) / np.array(levels[:-1])
    return found


MODELS = {
    "plain": Execution(),
    "stops": Execution(stop_loss_ratio=0.03),
    "partly": Execution(position_fraction_ratio=0.5),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("metrics", [("sharpe_ratio",), (), METRIC_NAMES])
@pytest.mark.parametrize("blocks", [2, 16, 40])
def test_the_sums_are_those_of_each_sets_equity(
    model: str, metrics: tuple[str, ...], blocks: int
) -> None:
    """On every path and whatever metrics are wanted; the oldest days are in no block."""
    frame, execution = frame_of(), MODELS[model]
    found = sums_of(frame, execution, metrics=metrics, blocks=blocks)
    returns = [returns_of(frame, place, execution, Direction.LONG) for place in range(5)]
    days = len(returns[0])

    assert (found.day_count, found.block_day_count) == (days, days // blocks)
    assert found.dropped_day_count == days % blocks
    assert found.reasons.tolist() == [0] * 5 + [UndefinedReason.SET_FAILED]
    cut = np.array(returns)[:, days % blocks :].reshape(5, blocks, days // blocks)
    np.testing.assert_allclose(found.sums[:5], cut.sum(axis=2), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.squares[:5], (cut**2).sum(axis=2), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("lengths", [(40,), (1, 17, 2), (1,) * 41])
def test_blocks_of_given_lengths_end_with_the_newest_day(lengths: tuple[int, ...]) -> None:
    """What they leave over are the oldest days; the returns themselves are all told."""
    frame = frame_of()
    wanted = WantedReturns(16, lengths, daily=True)
    found = sums_of(frame, MODELS["stops"], wanted=wanted)
    returns = np.array(
        [returns_of(frame, place, MODELS["stops"], Direction.LONG) for place in range(5)]
    )
    np.testing.assert_allclose(found.daily[:5], returns, rtol=1e-12, atol=1e-15)
    assert not found.daily[5].any()
    assert (found.block_day_count, found.dropped_day_count) == (0, 41 - sum(lengths))
    edges = 41 - sum(lengths) + np.cumsum((0, *lengths))
    for block, (begin, end) in enumerate(pairwise(edges)):
        cut = found.daily[:5, begin:end]
        np.testing.assert_allclose(found.sums[:5, block], cut.sum(axis=1), rtol=1e-12, atol=1e-15)
        squares = (cut**2).sum(axis=1)
        np.testing.assert_allclose(found.squares[:5, block], squares, rtol=1e-12, atol=1e-18)


def test_blocks_of_equal_given_lengths_have_the_bits_of_equal_blocks() -> None:
    """There is one way of adding up."""
    frame = frame_of()
    equal = sums_of(frame, Execution(), blocks=4)
    given = sums_of(frame, Execution(), wanted=WantedReturns(16, (10,) * 4))
    np.testing.assert_array_equal(equal.sums, given.sums)
    np.testing.assert_array_equal(equal.squares, given.squares)
    assert equal.daily.size == 0


def test_the_mean_correlation_follows_from_one_number_a_day() -> None:
    """It is the mean over all pairs."""
    frame = frame_of()
    found = sums_of(frame, Execution(), direction=Direction.BOTH)
    returns = [returns_of(frame, place, Execution(), Direction.BOTH) for place in range(5)]
    count, days = found.standardized_count, found.day_count
    assert count == 5
    mean = (float((found.standardized**2).sum()) / days - count) / (count * (count - 1))
    pairs = [np.corrcoef(one, other)[0, 1] for one, other in combinations(returns, 2)]
    assert mean == pytest.approx(np.mean(pairs), rel=1e-10)


@pytest.mark.parametrize("size", [1, 2])
def test_cutting_changes_no_bit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of any size, and metrics of either path, give the same sums."""
    frame = frame_of()
    whole = sums_of(frame, Execution())
    monkeypatch.setattr(comparing, "_SETS_AT_ONCE", size)
    for metrics in (("sharpe_ratio",), METRIC_NAMES):
        cut = sums_of(frame, Execution(), metrics=metrics)
        np.testing.assert_array_equal(cut.sums, whole.sums)
        np.testing.assert_array_equal(cut.squares, whole.squares)
        np.testing.assert_array_equal(cut.standardized, whole.standardized)
        assert cut.standardized_count == whole.standardized_count


def test_nothing_is_told_unasked_and_nothing_changes_when_asked() -> None:
    """The metrics have the bits they have without."""
    columns = {"fast_period": np.array(FAST), "slow_period": np.array(SLOW)}
    sets = ParameterSets(len(FAST), dict(columns))
    for model in MODELS.values():
        without, beside = (
            evaluate(
                frame_of(), CROSSOVER, Direction.LONG, sets, model, METRIC_NAMES, lambda: False, n
            )
            for n in (None, WantedReturns(16, daily=True))
        )
        assert without.returns is None
        for name in METRIC_NAMES:
            np.testing.assert_array_equal(without.values[name], beside.values[name])


def test_a_window_without_days_has_no_returns() -> None:
    """Every set that can be run has too few observations."""
    found = sums_of(frame_of(20), Execution())
    assert found.day_count == found.standardized_count == 0
    assert set(found.reasons.tolist()) <= {
        int(UndefinedReason.TOO_FEW_OBSERVATIONS),
        int(UndefinedReason.SET_FAILED),
    }


def test_ruined_constant_and_unusable_sets_are_told_apart() -> None:
    """The ruined has no returns, the constant no correlation, the unusable has failed."""
    adder = ReturnAdder(4, 5, WantedReturns(2))
    levels = np.array(
        [[1.0, 2.0, 1.0, 2.0, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0], [1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]]
    )
    adder.add(slice(0, 4), levels, np.array([1, 1, 1, 0], np.uint8))
    found = adder.result()
    assert found.reasons.tolist() == [0, UndefinedReason.RUINED, 0, UndefinedReason.SET_FAILED]
    assert found.standardized_count == 1
    assert found.sums.tolist() == [[0.5, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert found.squares[0].tolist() == [1.25, 1.25]


def test_ruin_on_the_last_day_is_a_return_of_less_all() -> None:
    """As for the daily metrics, which are defined then."""
    adder = ReturnAdder(1, 3, WantedReturns(2))
    adder.add(slice(0, 1), np.array([[1.0, 1.5, 0.0]]), np.ones(1, np.uint8))
    found = adder.result()
    assert found.sums.tolist() == [[0.5, -1.0]]
