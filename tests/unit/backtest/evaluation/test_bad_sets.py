"""Sets and definitions that make no sense: told by their fields, and harmless to others."""

from __future__ import annotations

import numpy as np
import pytest

from services.backtest.core import single
from services.backtest.core.batch import evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.parameters import Column, ParameterInfo, ParameterType, Value
from services.backtest.core.sets.history import required_lookback
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.strategies import STRATEGIES, Strategy
from services.common.errors import AssayError
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import planes_of, sets_of, strategy_of

FRAME = markets.frame(markets.candles(12, 300), 150, 150)
KIND = ParameterInfo("kind", ParameterType.CATEGORY, "", "", None, None, ("plain", "quick"))
LARGE = ParameterInfo("n", ParameterType.INT, "", "", 0.0, 2.0**40)


def refused(strategy: Strategy, values: dict[str, Value]) -> list[tuple[str, str]]:
    """Return what a caller hears of the only set."""
    with pytest.raises(AssayError) as raised:
        single.run(FRAME, strategy, Direction.LONG, values, Execution())
    return [(one.field, one.description) for one in raised.value.violations]


@pytest.mark.parametrize("name", ["highest", "sma", "ema", "wma", "median"])
def test_a_period_out_of_bounds_behind_a_choice_is_refused(name: str) -> None:
    """No compiler sees it, and no kernel may."""
    strategy = strategy_of(
        parameters=(KIND,), enter_long=f"close > {name}(close, choose(kind, plain = 0, quick = 5))"
    )
    told = f"{name}: period must be at least 1 and at most 100000, not 0"
    assert refused(strategy, {"kind": "plain"}) == [("parameters.kind", told)]
    found, failures = planes_of(FRAME, strategy, [{"kind": "plain"}, {"kind": "quick"}])
    assert (list(found), list(failures)) == ([1], [0])


@pytest.mark.parametrize(
    "text", ["close > n * n", "close + n * n > 3", "shift(close, 1) > if_else(n > 9, n * n, 2)"]
)
def test_whole_numbers_too_large_are_refused(text: str) -> None:
    """In the sets that make them only."""
    strategy = strategy_of(parameters=(LARGE,), enter_long=text)
    ((field, told),) = refused(strategy, {"n": 2**40})
    assert field == "parameters.n"
    assert "beyond 2^53" in told
    found, failures = planes_of(FRAME, strategy, [{"n": 2**40}, {"n": 7}])
    assert (list(found), list(failures)) == ([1], [0])
    sets = sets_of([{"n": 2**40}, {"n": 7}])
    assert required_lookback(strategy, Direction.LONG, sets, Execution(), Interval.HOUR_1) <= 1


def test_values_of_another_type_are_refused() -> None:
    """Numbers for words, words for numbers, and halves for whole numbers."""
    crossover = STRATEGIES["ma_crossover"]
    for values in ({"average": 5}, {"fast_period": "sma"}, {"fast_period": 2.0}):
        ((field, _),) = refused(crossover, dict(values))
        assert field == f"parameters.{next(iter(values))}"


def test_what_cannot_be_run_harms_no_neighbour() -> None:
    """In one batch: out of bounds, not a number, too long for the window, and sound."""
    level = ParameterInfo("x", ParameterType.DOUBLE, "", "", -9.0, 9.0)
    period = ParameterInfo("n", ParameterType.INT, "", "", 1.0, 500.0)
    strategy = strategy_of(
        parameters=(level, period), enter_long="crosses_above(close, sma(close, n) + x)"
    )
    market = markets.candles(12, 300)
    frame = markets.frame(market, 100, 1_000)
    columns: dict[str, Column] = {
        "x": np.array([0.0, np.nan, 10.0, 0.5, 0.5, np.inf, 0.5]),
        "n": np.array([5, 5, 5, 0, 400, 5, 5]),
    }
    result = evaluate(
        frame,
        strategy,
        Direction.LONG,
        ParameterSets(7, columns),
        Execution(),
        ("total_return_ratio", "trade_count"),
        lambda: False,
    )
    told = [(one.index, one.reason) for one in result.failures]
    assert told == [
        (1, "FIELD_INVALID"),
        (2, "FIELD_INVALID"),
        (3, "FIELD_INVALID"),
        (4, "WINDOW_TOO_SHORT"),
        (5, "FIELD_INVALID"),
    ]
    for number in (0, 6):
        values: dict[str, Value] = {"x": float([0.0, 0.5][number > 0]), "n": 5}
        alone = single.run(frame, strategy, Direction.LONG, values, Execution())
        assert result.values["total_return_ratio"][number] == alone.metrics["total_return_ratio"]


def test_a_side_a_strategy_never_enters_is_run_without_trades() -> None:
    """Its conditions still decide when the first decision is."""
    strategy = strategy_of(enter_long="close > sma(close, 9)")
    run = single.run(FRAME, strategy, Direction.SHORT, {}, Execution())
    assert len(run.trades) == 0
    assert run.metrics["trade_count"] == 0
