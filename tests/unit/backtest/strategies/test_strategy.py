"""Strategies: their requirements, and the six that are built in."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from services.backtest.core.expression.program import Program
from services.backtest.core.expression.resolution import resolve
from services.backtest.core.expression.words import LANGUAGE_WORDS, OPERATION_NAMES, is_name
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value, problem_with
from services.backtest.core.strategies import STRATEGIES, Definition, Strategy
from tests.unit.backtest.expression.vocabulary import shown

FAST = ParameterInfo("fast", ParameterType.INT, "bars", "", 1.0, 1e15, default=5)
SLOW = replace(FAST, name="slow", default=9)
DEFINITION = Definition(
    name="mine",
    description="Mine.",
    parameters=(FAST, SLOW),
    terms=(("spread", "slow - fast"),),
    enter_long="close > open",
    requirements=("fast < slow", "spread * spread < 100", "3 > fast / slow and slow > 1"),
)


def compiled(definition: Definition) -> Strategy:
    """Compile with the real indicators."""
    return Strategy.compiled(definition, INDICATORS)


def texts_of(program: Program) -> dict[str, str]:
    """Write all signals down."""
    return {name: shown(program, place) for name, place in program.signals.items()}


def test_a_strategy_tells_what_its_definition_tells() -> None:
    """Name, description and parameters."""
    strategy = compiled(DEFINITION)
    assert strategy.name == "mine"
    assert strategy.description == "Mine."
    assert strategy.parameters == (FAST, SLOW)
    assert strategy.definition is DEFINITION


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({"fast": 5, "slow": 9}, []),
        ({"fast": 2, "slow": 1}, [("fast", 'must satisfy "fast < slow"'),
                                  ("fast", 'must satisfy "3 > fast / slow and slow > 1"')]),
        ({"fast": 1, "slow": 11}, [("fast", 'must satisfy "spread * spread < 100"')]),
    ],
)  # fmt: skip
def test_broken_requirements_are_told_by_the_first_parameter_they_name(
    values: dict[str, Value], problems: list[tuple[str, str]]
) -> None:
    """Through terms, it is the first declared."""
    assert compiled(DEFINITION).problems(values) == problems


def test_a_requirement_beyond_whole_numbers_is_broken() -> None:
    """It is told why."""
    ((name, told),) = compiled(DEFINITION).problems({"fast": 1, "slow": 10**15})
    assert name == "fast"
    assert told.startswith('must satisfy "spread * spread < 100", but a whole number is beyond')


def test_there_are_six_built_in_strategies() -> None:
    """By name, in order, not to be changed."""
    assert list(STRATEGIES) == [
        "bollinger_reversion",
        "buy_and_hold",
        "donchian_breakout",
        "ma_crossover",
        "macd",
        "rsi_reversion",
    ]
    assert isinstance(STRATEGIES, MappingProxyType)
    assert all(name == strategy.name for name, strategy in STRATEGIES.items())


def _bars(minimum: int, default: int) -> tuple[ParameterType, str, float, float, int]:
    return ParameterType.INT, "bars", float(minimum), 100_000.0, default


PARAMETERS = {
    "bollinger_reversion": {
        "period": _bars(2, 20),
        "width": (ParameterType.DOUBLE, "deviations", 0.01, 100.0, 2.0),
    },
    "buy_and_hold": {},
    "donchian_breakout": {"entry_period": _bars(1, 20), "exit_period": _bars(1, 10)},
    "ma_crossover": {
        "fast_period": _bars(1, 10),
        "slow_period": _bars(1, 30),
        "average": (ParameterType.CATEGORY, "", None, None, "sma"),
    },
    "macd": {
        "fast_period": _bars(1, 12),
        "slow_period": _bars(1, 26),
        "signal_period": _bars(1, 9),
    },
    "rsi_reversion": {
        "period": _bars(2, 14),
        "lower": (ParameterType.DOUBLE, "index points", 0.0, 100.0, 30.0),
        "upper": (ParameterType.DOUBLE, "index points", 0.0, 100.0, 70.0),
    },
}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_parameters_of_the_built_in_strategies(strategy: Strategy) -> None:
    """Types, units, bounds and defaults are promised; defaults are sound together."""
    assert strategy.description
    assert all(info.description for info in strategy.parameters)
    assert {
        info.name: (info.type, info.unit, info.minimum, info.maximum, info.default)
        for info in strategy.parameters
    } == PARAMETERS[strategy.name]
    defaults = {info.name: info.default for info in strategy.parameters if info.default is not None}
    assert all(not problem_with(info, defaults[info.name]) for info in strategy.parameters)
    assert strategy.problems(defaults) == []


SIGNALS = {
    "bollinger_reversion": {
        "enter_long": (
            "crosses_below(close, subtract(sma(close; period), "
            "multiply(width, stdev(close; period))))"
        ),
        "exit_long": "crosses_above(close, sma(close; period))",
        "enter_short": (
            "crosses_above(close, add(sma(close; period), multiply(width, stdev(close; period))))"
        ),
        "exit_short": "crosses_below(close, sma(close; period))",
    },
    "buy_and_hold": {"enter_long": "first_decision", "enter_short": "first_decision"},
    "donchian_breakout": {
        "enter_long": "greater(close, shift(highest(high; entry_period); 1))",
        "exit_long": "less(close, shift(lowest(low; exit_period); 1))",
        "enter_short": "less(close, shift(lowest(low; entry_period); 1))",
        "exit_short": "greater(close, shift(highest(high; exit_period); 1))",
    },
    "macd": {
        "enter_long": (
            "crosses_above(macd_line(close; fast_period, slow_period, signal_period), "
            "macd_signal(close; fast_period, slow_period, signal_period))"
        ),
        "exit_long": (
            "crosses_below(macd_line(close; fast_period, slow_period, signal_period), "
            "macd_signal(close; fast_period, slow_period, signal_period))"
        ),
    },
    "rsi_reversion": {
        "enter_long": "crosses_above(rsi(close; period), lower)",
        "exit_long": "crosses_below(rsi(close; period), upper)",
        "enter_short": "crosses_below(rsi(close; period), upper)",
        "exit_short": "crosses_above(rsi(close; period), lower)",
    },
}
SIGNALS["macd"] |= {
    "enter_short": SIGNALS["macd"]["exit_long"],
    "exit_short": SIGNALS["macd"]["enter_long"],
}


@pytest.mark.parametrize("name", SIGNALS)
def test_what_the_built_in_strategies_compile_to(name: str) -> None:
    """Signal by signal."""
    assert texts_of(STRATEGIES[name].program) == SIGNALS[name]


@pytest.mark.parametrize("average", ["sma", "ema"])
def test_the_crossover_takes_one_kind_of_average(average: str) -> None:
    """Both sides the same, and shorts are longs turned round."""
    program = resolve(STRATEGIES["ma_crossover"].program, {"average": average})
    sides = f"({average}(close; fast_period), {average}(close; slow_period))"
    above, below = f"crosses_above{sides}", f"crosses_below{sides}"
    assert texts_of(program) == {
        "enter_long": above,
        "exit_long": below,
        "enter_short": below,
        "exit_short": above,
    }


def test_levels_of_the_strength_index_must_be_in_order() -> None:
    """Equal ones are none."""
    strategy = STRATEGIES["rsi_reversion"]
    for lower, upper in ((70.0, 30.0), (50.0, 50)):
        values: dict[str, Value] = {"period": 14, "lower": lower, "upper": upper}
        assert strategy.problems(values) == [("lower", 'must satisfy "lower < upper"')]


def test_a_fast_period_may_be_the_slower_one() -> None:
    """Searching it is the caller's choice."""
    values: dict[str, Value] = {"fast_period": 30, "slow_period": 10, "average": "ema"}
    assert STRATEGIES["ma_crossover"].problems(values) == []


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_every_period_allowed_is_one_its_indicators_take(strategy: Strategy) -> None:
    """No set within the bounds of a built-in is refused by an indicator."""
    for node in strategy.program.nodes:
        operation = INDICATORS.get(node.operation)
        for static, place in zip(operation.statics if operation else (), node.statics, strict=True):
            below = strategy.program.nodes[place]
            infos = [info for info in strategy.parameters if info.name == below.value]
            for info in infos:
                assert info.minimum is not None
                assert info.maximum is not None
                assert static.minimum <= info.minimum
                assert info.maximum <= static.maximum


def test_indicators_have_names_of_their_own() -> None:
    """None is a word of the language, nor an operation of its nodes, and all have a name's form."""
    assert not set(INDICATORS) & (LANGUAGE_WORDS | OPERATION_NAMES)
    assert all(is_name(name) and INDICATORS[name].name == name for name in INDICATORS)
