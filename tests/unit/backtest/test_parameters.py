"""Parameters and the execution model: what is sound and what is not."""

from __future__ import annotations

import math

import pytest

from services.backtest.core.execution import EXECUTION_PARAMETERS, Execution, problems_with
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value, problem_with
from services.backtest.core.strategies import STRATEGIES, Strategy
from tests.unit.backtest import markets

PERIOD = ParameterInfo("period", ParameterType.INT, "bars", "", 1.0, 100.0, default=5)
WIDTH = ParameterInfo("width", ParameterType.DOUBLE, "", "", math.ulp(0.0), 2.0, default=1.0)
KIND = ParameterInfo("kind", ParameterType.CATEGORY, "", "", None, None, ("sma", "ema"), "sma")


@pytest.mark.parametrize(
    ("info", "value"),
    [(PERIOD, 1), (PERIOD, 100), (WIDTH, 2), (WIDTH, 5e-324), (WIDTH, 0.5), (KIND, "ema")],
)
def test_sound_values_have_no_problem(info: ParameterInfo, value: Value) -> None:
    """Bounds belong to the range; a whole number is a number."""
    assert problem_with(info, value) is None


@pytest.mark.parametrize(
    ("info", "value", "told"),
    [
        (PERIOD, 0, "must be at least 1 and at most 100, not 0"),
        (PERIOD, 101, "must be at least 1 and at most 100"),
        (PERIOD, 5.0, "must be a whole number"),
        (PERIOD, True, "must be a whole number"),
        (PERIOD, "5", "must be a whole number"),
        (WIDTH, 0.0, "must be above 0 and at most 2"),
        (WIDTH, math.nan, "must be finite"),
        (WIDTH, math.inf, "must be finite"),
        (WIDTH, "wide", "must be a number"),
        (KIND, "wma", "must be one of sma, ema"),
        (KIND, 1, "must be one of sma, ema"),
    ],
)
def test_unsound_values_are_told(info: ParameterInfo, value: Value, told: str) -> None:
    """Type, finiteness, bounds and words each have their sentence."""
    problem = problem_with(info, value)
    assert problem is not None
    assert problem.startswith(told)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_every_strategy_is_complete_and_its_defaults_are_sound(strategy: Strategy) -> None:
    """Parameters have a meaning, bounds and defaults that make sense together."""
    assert strategy.description
    for info in strategy.parameters:
        assert info.description
        assert info.default is not None
        is_word = info.type is ParameterType.CATEGORY
        assert is_word is (info.minimum is None) is (info.maximum is None) is bool(info.categories)
    defaults = {info.name: info.default for info in strategy.parameters if info.default is not None}
    assert not strategy.problems(defaults)
    assert 0 <= markets.lookback(strategy, defaults) <= 1_000_000


def test_the_longest_lookbacks_are_within_the_contracts_limit() -> None:
    """A snapshot may ask for a million bars before its window."""
    for strategy in STRATEGIES.values():
        largest: dict[str, Value] = {
            info.name: info.categories[-1] if info.maximum is None else int(info.maximum)
            for info in strategy.parameters
        }
        assert markets.lookback(strategy, largest) <= 1_000_000


def test_a_fast_period_may_be_the_slower_one() -> None:
    """Searching it is the caller's choice."""
    values: dict[str, Value] = {"fast_period": 30, "slow_period": 10, "average": "ema"}
    assert STRATEGIES["ma_crossover"].problems(values) == []


def test_the_default_model_and_one_with_everything_are_sound() -> None:
    """Nothing to complain about."""
    assert problems_with(Execution()) == []
    everything = Execution(
        take_profit_fee_bps=-100.0,
        stop_loss_ratio=0.999,
        take_profit_ratio=100.0,
        trailing_stop_ratio=0.5,
        trailing_activation_ratio=0.0,
    )
    assert problems_with(everything) == []


def test_everything_wrong_with_a_model_is_told_at_once() -> None:
    """One list with every field."""
    model = Execution(
        initial_capital_quote=0.0,
        taker_fee_bps=-1.0,
        take_profit_fee_bps=-101.0,
        slippage_bps=math.nan,
        position_fraction_ratio=1.1,
        stop_loss_ratio=1.0,
        take_profit_ratio=0.0,
        trailing_activation_ratio=0.1,
    )
    assert [name for name, _ in problems_with(model)] == [
        "initial_capital_quote",
        "taker_fee_bps",
        "take_profit_fee_bps",
        "slippage_bps",
        "position_fraction_ratio",
        "stop_loss_ratio",
        "take_profit_ratio",
        "trailing_activation_ratio",
    ]


def test_what_can_be_searched_in_the_model() -> None:
    """Distances, sizes and leverage; all are off where they are not given."""
    assert {info.name: info.default for info in EXECUTION_PARAMETERS} == {
        "position_fraction_ratio": None,
        "stop_loss_ratio": None,
        "take_profit_ratio": None,
        "trailing_stop_ratio": None,
        "trailing_activation_ratio": None,
        "leverage": None,
        "position_quote": None,
        "position_quantity_base": None,
        "risk_per_trade_ratio": None,
        "volatility_target_ratio": None,
    }
