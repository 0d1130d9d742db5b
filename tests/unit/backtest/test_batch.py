"""Batches: the same bits as alone, whatever the neighbours; failures that stay their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.batch import BatchResult, Cancelled, evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.indicators import registry
from services.backtest.core.kernel import Numbers
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.backtest.core.parameters import Column, Value, WordColumn
from services.backtest.core.sets import comparing, demands
from services.backtest.core.sets.history import required_lookback
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.single import run
from services.backtest.core.strategies import STRATEGIES, Definition, Strategy
from services.common.errors import AssayError
from services.common.intervals import Interval
from tests.unit.backtest import markets

CROSSOVER = STRATEGIES["ma_crossover"]
MARKET = markets.candles(5, 500, decimals=1)


def run_all(
    frame: Frame,
    strategy: Strategy,
    sets: ParameterSets,
    execution: Execution | None = None,
    direction: Direction = Direction.BOTH,
) -> BatchResult:
    """Evaluate every metric of a batch."""
    model = execution or Execution()
    return evaluate(frame, strategy, direction, sets, model, METRIC_NAMES, lambda: False)


def column(values: Sequence[Value]) -> Column:
    """Return values of one type as a column."""
    if isinstance(values[0], str):
        words = tuple(str(value) for value in values)
        return WordColumn(words, np.arange(len(words)))
    if isinstance(values[0], int):
        return np.array(values, np.int64)
    return np.array(values, np.float64)


def sets_of(count: int, columns: Mapping[str, Sequence[Value]]) -> ParameterSets:
    """Return sets by the values of their parameters."""
    return ParameterSets(count, {name: column(values) for name, values in columns.items()})


def columns_of(requests: list[markets.Request]) -> ParameterSets:
    """Return the sets of requests for one strategy as columns."""
    names = requests[0].values
    return sets_of(
        len(requests), {name: [request.values[name] for request in requests] for name in names}
    )


def longest(strategy: Strategy, sets: ParameterSets) -> int:
    """Return the lookback of sets of hourly bars."""
    return required_lookback(strategy, Direction.BOTH, sets, Execution(), Interval.HOUR_1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    history=st.integers(0, 120),
    decimals=st.sampled_from([1, None]),
    odd=st.booleans(),
    data=st.data(),
)
def test_a_set_alone_gives_the_bits_it_gives_in_a_batch(
    seed: int, history: int, decimals: int | None, odd: bool, data: st.DataObject
) -> None:
    """Neither other sets, nor their order, nor the longer history they ask for change a bit."""
    some = data.draw(markets.requests)
    same = markets.requests.filter(lambda one: one.strategy == some.strategy)
    requests = [some, *data.draw(st.lists(same, min_size=1, max_size=4))]
    strategy = STRATEGIES[some.strategy]
    market = markets.candles(seed, history + 90, decimals=decimals, gaps=True)
    if odd and history:
        market.close[0] = 100.0 / 3.0
    sets = columns_of(requests)
    frame = markets.frame(market, history, longest(strategy, sets) + 5)
    result = run_all(frame, strategy, sets, some.execution, some.direction)

    for index, request in enumerate(requests):
        own = markets.frame(market, history, markets.lookback(strategy, request.values))
        if any(failure.index == index for failure in result.failures):
            with pytest.raises(AssayError):
                run(own, strategy, some.direction, request.values, some.execution)
            continue
        alone = run(own, strategy, some.direction, request.values, some.execution)
        for name in METRIC_NAMES:
            reason = int(result.reasons[name][index])
            assert alone.reasons.get(name, 0) == reason
            if not reason:
                assert alone.metrics[name].hex() == float(result.values[name][index]).hex()


def test_execution_parameters_may_differ_between_sets() -> None:
    """A stop in a column is the stop of the execution model."""
    frame = markets.frame(MARKET, 60, 60)
    stops = [0.01, 0.05, 0.2]
    sets = sets_of(3, {"stop_loss_ratio": stops})
    result = run_all(frame, CROSSOVER, sets)
    for index, stop in enumerate(stops):
        alone = run(frame, CROSSOVER, Direction.BOTH, {}, Execution(stop_loss_ratio=stop))
        assert alone.metrics["final_equity_quote"] == result.values["final_equity_quote"][index]
    assert len(set(result.values["final_equity_quote"].tolist())) == 3


def test_sets_without_columns_take_defaults() -> None:
    """Defaults are the strategy's."""
    frame = markets.frame(MARKET, 60, 60)
    result = run_all(frame, CROSSOVER, ParameterSets(2, {}))
    values: dict[str, Value] = {"fast_period": 10, "slow_period": 30, "average": "sma"}
    alone = run(frame, CROSSOVER, Direction.BOTH, values, Execution())
    expected = [alone.metrics["sharpe_ratio"]] * 2
    assert result.values["sharpe_ratio"].tolist() == expected


def test_only_the_metrics_asked_for_are_told() -> None:
    """The columns are those named, in that order, with the values they always have."""
    frame = markets.frame(MARKET, 60, 60)
    sets = sets_of(2, {"fast_period": [5, 6]})
    wanted = ("trade_count", "cagr_ratio")
    model = Execution()
    some = evaluate(frame, CROSSOVER, Direction.LONG, sets, model, wanted, lambda: False)
    everything = run_all(frame, CROSSOVER, sets, direction=Direction.LONG)
    assert tuple(some.values) == tuple(some.reasons) == wanted
    assert some.values["trade_count"].tolist() == everything.values["trade_count"].tolist()


def test_required_lookback_is_the_longest_of_all_sets() -> None:
    """Each row of the columns is a set; sound ones count."""
    sets = sets_of(
        3,
        {
            "fast_period": [5, 50, 7],
            "slow_period": [20, 10, 30],
            "average": ["sma", "sma", "ema"],
        },
    )
    assert longest(CROSSOVER, sets) == 4 * 30 + 1
    simple = sets_of(2, {"fast_period": [5, 50], "slow_period": [20, 10]})
    assert longest(CROSSOVER, simple) == 50
    assert longest(STRATEGIES["buy_and_hold"], ParameterSets(4, {})) == 0
    assert longest(CROSSOVER, sets_of(2, {"fast_period": [-5, 40]})) == 40


def test_a_window_too_short_for_one_set_fails_that_set() -> None:
    """Needed and available bars are told, and the neighbours have their numbers."""
    frame = markets.frame(MARKET.slice(0, 100), 0, 300)
    sets = sets_of(3, {"slow_period": [30, 300, 40]})
    result = run_all(frame, CROSSOVER, sets)
    (failure,) = result.failures
    assert (failure.index, failure.reason) == (1, "WINDOW_TOO_SHORT")
    assert failure.metadata == {"needed_bar_count": "302", "available_bar_count": "100"}
    assert result.reasons["trade_count"].tolist() == [0, UndefinedReason.SET_FAILED, 0]
    assert np.isnan(result.values["trade_count"]).tolist() == [False, True, False]


def test_too_little_history_in_the_frame_fails_the_set_when_the_dataset_may_hold_more() -> None:
    """A frame cut too short is the caller's mistake, never a silently shorter warm-up."""
    frame = markets.frame(MARKET, 200, 40)
    result = run_all(frame, CROSSOVER, sets_of(2, {"slow_period": [40, 41]}))
    (failure,) = result.failures
    assert (failure.index, failure.reason) == (1, "FIELD_INVALID")
    with pytest.raises(AssayError, match="41 bars before the window"):
        run(frame, CROSSOVER, Direction.LONG, {"slow_period": 41}, Execution())


def test_values_out_of_bounds_or_without_sense_fail_their_set() -> None:
    """Type, bounds, words and rules between parameters are all checked."""
    frame = markets.frame(MARKET, 200, 200)
    bad = sets_of(3, {"fast_period": [0, 5, 5], "average": ["sma", "wma", "ema"]})
    result = run_all(frame, CROSSOVER, bad)
    assert [(failure.index, failure.reason) for failure in result.failures] == [
        (0, "FIELD_INVALID"),
        (1, "FIELD_INVALID"),
    ]
    assert "at least 1" in result.failures[0].message
    (failure,) = run_all(frame, CROSSOVER, sets_of(1, {"fast_period": [5.5]})).failures
    assert "whole number" in failure.message
    levels = sets_of(2, {"lower": [30.0, 70.0], "upper": [70.0, 70.0]})
    (failure,) = run_all(frame, STRATEGIES["rsi_reversion"], levels).failures
    assert (failure.index, failure.reason) == (1, "FIELD_INVALID")
    trails = sets_of(1, {"trailing_activation_ratio": [0.1]})
    (failure,) = run_all(frame, CROSSOVER, trails).failures
    assert "without trailing_stop_ratio" in failure.message


def test_a_defect_in_one_set_leaves_the_others_unharmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is that set's failure and tells no secrets."""
    sound = registry.INDICATORS["wma"]

    def explode(columns: tuple[Numbers, ...], statics: tuple[float, ...]) -> tuple[Numbers, ...]:
        if statics[0] == 7:
            raise RuntimeError("secret")
        return sound.compute(columns, statics)

    fragile = {**registry.INDICATORS, "wma": replace(sound, compute=explode)}
    monkeypatch.setattr("services.backtest.core.evaluation.rows.INDICATORS", fragile)
    definition = Definition(
        parameters=CROSSOVER.parameters[:1], enter_long="close > wma(close, fast_period)"
    )
    strategy = Strategy.compiled(definition, registry.INDICATORS)
    frame = markets.frame(MARKET, 60, 60)
    result = run_all(frame, strategy, sets_of(3, {"fast_period": [6, 7, 8]}))
    (failure,) = result.failures
    assert (failure.index, failure.reason) == (1, "SET_FAILED")
    assert "secret" not in failure.message
    monkeypatch.undo()
    others = run_all(frame, strategy, sets_of(2, {"fast_period": [6, 8]}))
    assert result.values["fees_quote"][[0, 2]].tolist() == others.values["fees_quote"].tolist()


def test_cancelling_stops_before_the_next_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wish is asked for between the parts of a batch."""
    monkeypatch.setattr(comparing, "_SETS_AT_ONCE", 2)
    answers = iter([False, True])
    frame = markets.frame(MARKET, 60, 60)
    sets = sets_of(5, {"fast_period": [5, 6, 7, 8, 9]})
    with pytest.raises(Cancelled):
        evaluate(
            frame,
            CROSSOVER,
            Direction.LONG,
            sets,
            Execution(),
            METRIC_NAMES,
            lambda: next(answers),
        )
    assert next(answers, None) is None


def test_the_size_of_chunks_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does the room for rows, where a chunk needs more than the table holds at once."""
    frame = markets.frame(MARKET, 60, 60)
    sets = sets_of(12, {"fast_period": list(range(2, 14)), "slow_period": list(range(30, 18, -1))})
    whole = run_all(frame, CROSSOVER, sets)
    monkeypatch.setattr(demands, "_MOST_SETS", 5)
    monkeypatch.setattr(comparing, "_SETS_AT_ONCE", 3)
    parts = run_all(frame, CROSSOVER, sets)
    for name in METRIC_NAMES:
        np.testing.assert_array_equal(whole.values[name], parts.values[name])
