"""The first bars of a window: the run of a window that ends there, bit for bit."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core import single
from services.backtest.core.batch import evaluate
from services.backtest.core.evaluation.workbench import workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Detail, Frame, Funding
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.strategies import Strategy
from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.engine.engine_room import HOUR_MS
from tests.unit.backtest.engine.random_cases import MINUTES_15_MS, execution_of
from tests.unit.backtest.evaluation.planes_of import sets_of
from tests.unit.backtest.evaluation.texts import Texts

SETS: list[dict[str, Value]] = [{"n": n, "x": x} for n in (2, 5) for x in (-0.5, 1.0)]


def whole_of(seed: int, window_start: int) -> Frame:
    """Make a frame with gaps, funding, marks and quarter hours, more history than needed."""
    rng = np.random.default_rng(seed)
    market = markets.candles(seed, window_start + 160, gaps=True, volatility=0.01)
    frame = markets.frame(market, window_start, window_start)
    window = market.slice(window_start, len(market))
    times, (_, *prices, volume) = window.open_time_ms, window.columns()
    settled = times[:: int(rng.integers(3, 9))] + rng.choice([0, 900, HOUR_MS // 2])
    quarters = (times[:, None] + MINUTES_15_MS * np.arange(4)).ravel()
    detail = [np.repeat(np.asarray(price, np.float64), 4) for price in (*prices, volume)]
    return replace(
        frame,
        funding=Funding(settled, rng.normal(0.0, 0.001, len(settled))),
        mark=Candles.from_columns([times, *(1.001 * np.asarray(one) for one in prices), volume]),
        detail=Detail(Candles.from_columns([quarters, *detail]), Interval.MINUTE_15),
    )


def ending_after(whole: Frame, count: int, *, series: bool) -> Frame:
    """Return what the data service would send for a window of the first bars."""
    candles = whole.candles.slice(0, whole.window_start + count)
    frame = Frame(candles, whole.window_start, whole.interval, whole.lookback_wanted)
    if not series:
        return frame
    end_ms = int(candles.open_time_ms[-1]) + HOUR_MS
    assert whole.funding is not None
    assert whole.mark is not None
    assert whole.detail is not None
    settled = whole.funding.time_ms < end_ms
    shorter = whole.detail.candles
    rows = int(np.searchsorted(shorter.open_time_ms, end_ms))
    return replace(
        frame,
        funding=Funding(whole.funding.time_ms[settled], whole.funding.rate_ratio[settled]),
        mark=whole.mark.slice(0, count),
        detail=Detail(shorter.slice(0, rows), whole.detail.interval),
    )


def bits_of_one(
    frame: Frame, strategy: Strategy, values: dict[str, Value], execution: Execution
) -> object:
    """Return everything one backtest tells, as bytes, or why there is none."""
    try:
        found = single.run(frame, strategy, Direction.BOTH, values, execution)
    except (AssayError, ArithmeticError) as error:
        return str(error), getattr(error, "metadata", None)
    numbers = {name: value.hex() for name, value in found.metrics.items()}
    columns = (found.open_time_ms, found.equity, found.position, found.drawdown)
    return (
        numbers,
        found.reasons,
        [repr(trade) for trade in found.trades],
        [column.tobytes() for column in columns],
        found.first_decision_index,
    )


def bits_of_batch(
    frame: Frame, strategy: Strategy, execution: Execution, direction: Direction
) -> object:
    """Return all metrics and failures of a batch, as bytes."""
    sets = sets_of(SETS)
    found = evaluate(frame, strategy, direction, sets, execution, METRIC_NAMES, lambda: False)
    return (
        [found.values[name].tobytes() for name in METRIC_NAMES],
        [found.reasons[name].tobytes() for name in METRIC_NAMES],
        found.failures,
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    window_start=st.sampled_from([0, 97, 300]),
    count=st.integers(2, 159),
    series=st.booleans(),
)
def test_they_are_run_as_a_window_that_ends_there(
    seed: int, window_start: int, count: int, series: bool
) -> None:
    """Whatever the strategy, the costs and the series beside the candles, alone and in a batch."""
    whole = whole_of(seed, window_start)
    if not series:
        whole = replace(whole, funding=None, mark=None, detail=None)
    strategy = Strategy.compiled(Texts(seed).definition(), INDICATORS)
    execution = execution_of(np.random.default_rng(seed)) if seed % 4 else Execution()
    bits_of_batch(whole, strategy, execution, Direction.BOTH)
    first, alone = whole.first_bars(count), ending_after(whole, count, series=series)
    assert first.bar_count == count
    for direction in (Direction.BOTH, Direction.LONG):
        wanted = bits_of_batch(alone, strategy, execution, direction)
        assert bits_of_batch(first, strategy, execution, direction) == wanted
    wanted = bits_of_one(alone, strategy, SETS[1], execution)
    assert bits_of_one(first, strategy, SETS[1], execution) == wanted


def test_a_longer_bar_that_is_cut_is_not_known() -> None:
    """A window that ends inside a bar of four hours knows the one before, as ever."""
    strategy = Strategy.compiled(
        replace(Texts(1).definition(), terms=(), enter_long='on("4h", close) > 0'), INDICATORS
    )
    whole = markets.frame(markets.candles(3, 60), 0, 1)
    first = single.run(whole.first_bars(6), strategy, Direction.LONG, {}, Execution())
    assert first.first_decision_index == 3
    for count in (2, 3, 4):
        with pytest.raises(AssayError) as raised:
            single.run(whole.first_bars(count), strategy, Direction.LONG, {}, Execution())
        assert raised.value.reason == "WINDOW_TOO_SHORT"
        assert raised.value.metadata["available_bar_count"] == str(count)


def test_as_many_bars_as_there_are_or_more_are_the_frame_itself() -> None:
    """Nothing is worked out twice for them."""
    whole = whole_of(1, 50)
    assert whole.first_bars(160) is whole.first_bars(10**12) is whole


def test_a_search_that_stops_sets_early_finds_everything_where_it_left_it() -> None:
    """The whole window and its beginnings, asked for in turn, each keep what is worked out."""
    whole = markets.frame(markets.candles(2, 400), 100, 100)
    for counts in ((11, 33, 100, 300), (60, 120, 180, 240, 300)):
        benches = [workbench_of(whole.first_bars(count)) for count in counts]
        for _ in range(3):
            assert [workbench_of(whole.first_bars(count)) for count in counts] == benches


def test_many_beginnings_do_not_fill_the_memory() -> None:
    """They and their frame take what four whole frames may take, and go with it."""
    whole = markets.frame(markets.candles(2, 400), 100, 100)
    for count in range(2, 301):
        bench = workbench_of(whole.first_bars(count))
        assert 1 / 16 <= bench.memory_ratio <= 1.0
    assert len(whole._shorter) <= 64
    early, late = (weakref.ref(workbench_of(whole.first_bars(count))) for count in (20, 299))
    assert late() is workbench_of(whole.first_bars(299))
    seen = weakref.ref(whole)
    del whole, bench
    gc.collect()
    assert (seen(), early(), late()) == (None, None, None)
