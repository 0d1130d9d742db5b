"""What must not matter: tiles, the room for rows, neighbours in a batch, threads, older history."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from services.backtest.core import single
from services.backtest.core.batch import BatchResult, evaluate
from services.backtest.core.evaluation.rows import Rows, Scope
from services.backtest.core.evaluation.workbench import Workbench, workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value
from services.backtest.core.planes import row_table
from services.backtest.core.sets import demands
from services.backtest.core.strategies import STRATEGIES
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import Planned, planes_of, sets_of, strategy_of

MARKET = markets.candles(5, 700, gaps=True, volatility=0.005)
WHOLE = ParameterInfo("n", ParameterType.INT, "bars", "", 1.0, 200.0)
LEVEL = ParameterInfo("x", ParameterType.DOUBLE, "", "", -100.0, 200.0)
MIXED = strategy_of(
    parameters=(WHOLE, LEVEL),
    enter_long="crosses_above(sma(close, n), ema(close, n + 3)) or close > x + highest(high, n)",
    exit_long='not (zscore(close, n + 1) > 0) or crosses_below(x, close) or on("4h", close < open)',
    enter_short="first_decision or hour == 3",
)
SETS: list[dict[str, Value]] = [{"n": 1 + k % 40, "x": 90.0 + k % 7} for k in range(60)]
CROSSOVER = STRATEGIES["ma_crossover"]


def assert_same(some: dict[int, Planned], others: dict[int, Planned]) -> None:
    """The same sets with the same bits."""
    assert some.keys() == others.keys()
    for number, planned in some.items():
        assert planned.first == others[number].first
        for name, flags in planned.signals.items():
            np.testing.assert_array_equal(flags, others[number].signals[name], f"{name} {number}")


def test_tiles_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window compared in tiles of 64 and of 192 bars has the planes of one tile."""
    frame = markets.frame(MARKET, 200, 200)
    whole, failures = planes_of(frame, MIXED, SETS)
    assert (len(whole), failures) == (60, {})
    assert any(flags.any() for one in whole.values() for flags in one.signals.values())
    for bars in (64, 192):
        monkeypatch.setattr(row_table, "LONGEST_WHOLE", 100)
        monkeypatch.setattr(demands, "LONGEST_WHOLE", 100)
        monkeypatch.setattr(row_table, "_TILE", bars)
        tiled = Workbench(frame)
        assert tiled.table.tile_count == -(-500 // bars)
        assert_same(whole, planes_of(frame, MIXED, SETS, bench=tiled)[0])


def test_a_small_row_table_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither do small chunks: sixteen slots for hundreds of rows."""
    frame = markets.frame(MARKET, 200, 200)
    whole, _ = planes_of(frame, MIXED, SETS)
    monkeypatch.setattr(row_table, "_MOST_BYTES", 0)
    small = Workbench(frame)
    assert small.table.capacity < len(SETS)
    assert_same(whole, planes_of(frame, MIXED, SETS, bench=small)[0])
    monkeypatch.setattr(demands, "_MOST_SETS", 7)
    assert_same(whole, planes_of(frame, MIXED, SETS, bench=small)[0])


def test_a_set_may_need_more_rows_than_the_table_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table makes room for one set, whatever it takes."""
    text = " and ".join(f"close > 0.99 * sma(close, {n})" for n in range(2, 42))
    strategy = strategy_of(enter_long=text)
    frame = markets.frame(MARKET, 200, 200)
    whole, _ = planes_of(frame, strategy, [{}])
    assert whole[0].signals["enter_long"].any()
    monkeypatch.setattr(row_table, "_MOST_BYTES", 0)
    assert_same(whole, planes_of(frame, strategy, [{}], bench=Workbench(frame))[0])


def run_all(frame: Frame, values: list[dict[str, Value]], **execution: Any) -> BatchResult:
    """Run sets with all metrics."""
    return evaluate(
        frame,
        CROSSOVER,
        Direction.LONG,
        sets_of(values),
        Execution(**execution),
        METRIC_NAMES,
        lambda: False,
    )


def test_two_threads_on_one_frame_give_the_bits_of_one() -> None:
    """They share rows, and neither sees the other's table."""
    values: list[dict[str, Value]] = [
        {"fast_period": 1 + k % 30, "slow_period": 5 + k % 43, "average": ("sma", "ema")[k % 2]}
        for k in range(200)
    ]
    wanted = run_all(markets.frame(MARKET, 300, 300), values)
    shared = markets.frame(MARKET, 300, 300)
    results: list[BatchResult] = []

    def work() -> None:
        results.extend([run_all(shared, values) for _ in range(3)])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 9
    for result in results:
        for name in METRIC_NAMES:
            np.testing.assert_array_equal(result.values[name], wanted.values[name])


def test_a_frame_is_collected_with_all_that_was_worked_out_of_it() -> None:
    """Nothing that outlives a request holds on to it."""
    frame = markets.frame(MARKET, 200, 200)
    planes_of(frame, MIXED, SETS)
    run_all(frame, [{"fast_period": 3, "slow_period": 9, "average": "sma"}])
    single.run(frame, MIXED, Direction.BOTH, SETS[0], Execution())
    bench = weakref.ref(workbench_of(frame))
    seen = weakref.ref(frame)
    assert bench() is workbench_of(frame)
    del frame
    gc.collect()
    assert seen() is None
    assert bench() is None


def test_rows_are_forgotten_when_they_become_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that cost no memory of their own too; what is asked for again is the same."""
    monkeypatch.setattr("services.backtest.core.evaluation.rows._MOST_BYTES", 400 * 1_024)
    frame = markets.frame(MARKET, 200, 200)
    rows = Rows(frame)
    values: list[dict[str, Value]] = [{"n": 1 + k % 190, "x": k / 7} for k in range(500)]

    def row(one: dict[str, Value], text: str) -> bytes:
        program = strategy_of(parameters=(WHOLE, LEVEL), enter_long=text).program
        place = program.signals["enter_long"]
        return rows.row(Scope(program, one), place, 0).values.tobytes()

    first = row(values[3], "sma(close, n) > close * x")
    for one in values:
        row(one, "sma(close, n) > close * x")
    assert len(rows._kept) <= 400
    assert row(values[3], "sma(close, n) > close * x") == first


@pytest.mark.parametrize("name", INDICATORS)
def test_more_history_than_needed_changes_no_bit(name: str) -> None:
    """Of no indicator, alone or on longer bars, compared or crossed."""
    operation = INDICATORS[name]
    series = ["close" for _ in operation.series]
    statics = ["5" if one.whole else "1.5" for one in operation.statics]
    call = f"{name}({', '.join((*series, *statics))})"
    strategy = strategy_of(
        enter_long=f"crosses_above(ema({call}, 2), {call})",
        exit_long=f'on("4h", {call}) > shift({call}, 2)',
    )
    needed = markets.lookback(strategy, {})
    market = markets.candles(11, 900, gaps=True, volatility=0.01)
    found = [
        planes_of(markets.frame(market, 700, needed + more), strategy, [{}])[0]
        for more in (0, 1, 37)
    ]
    assert len(found[0]) == 1
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])


def test_only_the_frames_used_last_keep_their_rows() -> None:
    """Many frames, as of many symbols, do not fill the memory; one that returns starts anew."""
    frames = [markets.frame(markets.candles(seed, 60), 20, 20) for seed in range(6)]
    first = workbench_of(frames[0])
    assert workbench_of(frames[0]) is first
    for frame in frames[1:]:
        workbench_of(frame)
    assert workbench_of(frames[0]) is not first
    assert workbench_of(frames[-1]) is workbench_of(frames[-1])
