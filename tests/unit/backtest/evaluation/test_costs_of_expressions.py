"""Definitions that ask for much: refused, or run in bounded time, the same alone and in a batch."""

from __future__ import annotations

import pytest

from services.backtest.core import look_ahead, single
from services.backtest.core.evaluation.lookback import Lookbacks
from services.backtest.core.evaluation.rows import Rows, Scope
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.expression.words import MOST_NODES
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value
from services.backtest.core.sets import demands
from services.backtest.core.sets.refusals import TooCostly
from services.backtest.core.strategies import Strategy
from services.common.errors import AssayError
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import planes_of, strategy_of

MARKET = markets.candles(9, 5_200, volatility=0.001)
DEEP = ParameterInfo("n", ParameterType.INT, "bars", "", 0.0, 5.0)


def doubling(count: int, step: str = "n") -> Strategy:
    """Terms that use each other shifted by powers of two: 2^count rows where n is not 0."""
    terms = [("t0", "close")]
    for number in range(1, count + 1):
        before, shift = f"t{number - 1}", f"{step} * {2 ** (number - 1)}"
        terms.append((f"t{number}", f"{before} / 2 + shift({before}, {shift}) / 2"))
    return strategy_of(
        parameters=(DEEP,), terms=tuple(terms), enter_long=f"close > 0.99 * t{count}"
    )


def test_terms_that_use_each_other_shifted_are_refused_before_they_are_computed() -> None:
    """Only the sets that need too much, and each alone as in a batch."""
    strategy = doubling(12)
    frame = markets.frame(MARKET, 5_000, 5_000)
    found, failures = planes_of(frame, strategy, [{"n": 0}, {"n": 1}, {"n": 0}])
    assert list(found) == [0, 2]
    assert isinstance(failures[1], TooCostly)
    values: dict[str, Value] = {"n": 1}
    for way in (
        lambda: single.run(frame, strategy, Direction.LONG, values, Execution()),
        lambda: look_ahead.check(frame, strategy, Direction.LONG, values, 3),
    ):
        with pytest.raises(AssayError) as raised:
            way()
        assert [one.field for one in raised.value.violations] == ["strategy.definition"]
    assert single.run(frame, strategy, Direction.LONG, {"n": 0}, Execution()).trades


def test_terms_that_are_used_often_are_computed_once() -> None:
    """2^31 ways down, and two rows a term."""
    terms = [("t0", "close"), *((f"t{k}", f"t{k - 1} / 2 + t{k - 1} / 2") for k in range(1, 32))]
    strategy = strategy_of(terms=tuple(terms), enter_long="t31 == close")
    found, failures = planes_of(markets.frame(MARKET, 100, 100), strategy, [{}])
    assert not failures
    assert found[0].signals["enter_long"].all()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("ema(close, 3) > 0", 2),
        ("crosses_above(ema(close, 3), close) and close > 0", 4),
        ("shift(close, 1) + shift(close, 2) > 0", 5),
        ('on("4h", ema(close, 3)) > 0', 3),
        ('on("4h", close) > shift(on("4h", close), 2)', 5),
    ],
)
def test_rows_are_counted_as_they_are_made(text: str, count: int) -> None:
    """One per node and bar it begins at: the count is that of the rows there come to be."""
    program = strategy_of(enter_long=text).program
    wanted = demands.code_of(program, tuple(program.signals.values())).rows
    roots = [(one.place, one.above) for one in wanted]
    counted = Lookbacks(program, {}).row_count(roots, Interval.HOUR_1, 1_000)
    scope = Scope(program, {})
    rows = Rows(markets.frame(MARKET, 300, 300))
    for place, above in roots:
        rows.row(scope, place, above)
    assert counted == len(scope.rows) == count


def test_a_definition_at_the_limits_is_evaluated() -> None:
    """As many operations as a definition may hold, every comparison of rows of its own."""
    parts = [f"sma(close, {n}) > ema(open, {n})" for n in range(1, 111)]
    text = " and ".join(f"not ({part})" for part in parts)
    assert MOST_NODES - 100 < 110 * 9
    frame = markets.frame(MARKET, 1_000, 1_000)
    found, failures = planes_of(frame, strategy_of(enter_long=f"not ({text})"), [{}])
    assert not failures
    assert found[0].signals["enter_long"].any()
    assert not found[0].signals["enter_long"].all()


def test_long_windows_allow_fewer_rows() -> None:
    """The numbers in them are what takes time and memory."""
    assert demands.most_rows(1) == demands.most_rows(65_536) == 2_000
    assert demands.most_rows(2_100_000) == 127
    assert demands.most_rows(2**40) == 1
