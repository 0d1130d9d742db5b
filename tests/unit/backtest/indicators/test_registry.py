"""What holds for every indicator."""

from __future__ import annotations

import numpy as np
import pytest

from services.backtest.core.indicators.families import RECURSIVE_LOOKBACK
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.indicators.registry import INDICATORS
from tests.unit.backtest.indicators.series import Numbers, arguments, given, walk

NAMES = list(INDICATORS)
BARS = 120


def evaluated(operation: Operation, columns: tuple[Numbers, ...], period: float = 5.0) -> Numbers:
    """Evaluate over columns as they are."""
    for column in columns:
        column.flags.writeable = False
    return operation.compute(columns, arguments(operation, period))[operation.output]


def fresh(operation: Operation, seed: int = 31, bars: int = BARS) -> tuple[Numbers, ...]:
    """Return own copies of an operation's columns."""
    return tuple(column.copy() for column in given(operation, walk(seed, bars)))


def test_the_registry_is_in_the_order_of_names() -> None:
    """Names are keys, in their order, and at least 30."""
    assert sorted(NAMES) == NAMES
    assert [operation.name for operation in INDICATORS.values()] == NAMES
    assert len(NAMES) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_every_indicator_is_described(name: str) -> None:
    """It has a description, a lookback in words of its arguments, and a signature."""
    operation = INDICATORS[name]
    assert operation.description.endswith(".")
    assert operation.lookback_text
    assert operation.signature.startswith(f"{name}(")
    assert operation.plugin == ""
    for one in operation.statics:
        assert 0.0 <= one.minimum < one.maximum <= 100_000.0


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_a_lookback_are_its_number(name: str) -> None:
    """The text, read as a formula, gives the lookback."""
    operation = INDICATORS[name]
    for period in (5.0, 17.0):
        statics = arguments(operation, period)
        names = {
            one.name: int(value) for one, value in zip(operation.statics, statics, strict=True)
        }
        words = {**names, "max": max, "floor": int, "sqrt": np.sqrt}
        assert eval(operation.lookback_text, {"__builtins__": {}}, words) == (
            operation.lookback(statics)
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("period", [1.0, 2.0, 5.0, 16.0])
def test_values_begin_where_said(name: str, period: float) -> None:
    """The first `undefined` values are NaN, all later ones numbers; the lookback covers them."""
    operation = INDICATORS[name]
    statics = arguments(operation, period)
    values = evaluated(operation, fresh(operation), period)
    undefined = operation.undefined(statics)
    assert values.shape == (BARS,)
    assert values.dtype == np.float64
    assert np.isnan(values).tolist() == [row < undefined for row in range(BARS)]
    assert undefined <= operation.lookback(statics)


@pytest.mark.parametrize("name", NAMES)
def test_short_columns_are_undefined(name: str) -> None:
    """Columns of no bar, one, or one too few give as many values, none of them a number."""
    operation = INDICATORS[name]
    undefined = operation.undefined(arguments(operation))
    for bars in {0, min(1, undefined), undefined}:
        values = evaluated(operation, tuple(column[:bars] for column in fresh(operation)))
        assert values.shape == (bars,)
        assert np.isnan(values).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_indicator_looks_ahead(name: str) -> None:
    """Taking later bars away, or changing them in any way, changes no bit of earlier values."""
    operation = INDICATORS[name]
    whole = evaluated(operation, fresh(operation))
    rng = np.random.default_rng(41)
    for cut in range(1, BARS, 7):
        shorter = evaluated(operation, tuple(column[:cut].copy() for column in fresh(operation)))
        assert shorter.tobytes() == whole[:cut].tobytes()
        for change in (rng.random(BARS - cut), np.full(BARS - cut, np.nan), -1e9 / 3.0):
            columns = fresh(operation)
            for column in columns:
                column[cut:] = change
            assert evaluated(operation, columns)[:cut].tobytes() == whole[:cut].tobytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e300])
def test_bars_without_numbers_leave_nothing_behind(name: str, odd: float) -> None:
    """Windows recover once such a bar has left them; states go on as if it had not been."""
    operation = INDICATORS[name]
    statics = arguments(operation)
    recursive = operation.lookback(statics) != operation.undefined(statics) or name == "obv"
    for place in range(len(fresh(operation))):
        columns = fresh(operation)
        columns[place][50] = odd
        values = evaluated(operation, columns)
        if recursive:
            rest = evaluated(operation, tuple(np.delete(column, 50) for column in columns))
            assert np.delete(values, 50).tobytes() == rest.tobytes()
            assert np.isnan(values[50])
        else:
            whole = evaluated(operation, fresh(operation))
            behind = 50 + operation.lookback(statics) + 1
            assert values[:50].tobytes() == whole[:50].tobytes()
            assert values[behind:].tobytes() == whole[behind:].tobytes()
            assert np.isnan(values[behind - 1])


@pytest.mark.parametrize("name", NAMES)
def test_columns_without_any_number_are_undefined(name: str) -> None:
    """Nothing comes of nothing, and nothing is raised."""
    operation = INDICATORS[name]
    for odd in (np.nan, np.inf, 1e308):
        columns = tuple(np.full(40, odd) for _ in fresh(operation))
        assert np.isnan(evaluated(operation, columns)).all()


@pytest.mark.parametrize("name", NAMES)
def test_undefined_beginnings_put_a_recursion_off(name: str) -> None:
    """Composed over a series that begins undefined, an indicator begins that much later."""
    operation = INDICATORS[name]
    columns = tuple(np.concatenate((np.full(9, np.nan), column)) for column in fresh(operation))
    values = evaluated(operation, columns)
    plain = evaluated(operation, fresh(operation))
    assert np.isnan(values[:9]).all()
    assert values[9:].tobytes() == plain.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_extreme_but_usable_numbers_raise_nothing(name: str) -> None:
    """Zeros, signs, denormal and huge numbers give numbers or NaN, never an infinity."""
    operation = INDICATORS[name]
    rng = np.random.default_rng(51)
    pool = np.array([0.0, -0.0, 5e-324, -1e-200, 1e-3, 1.0, -1.0, 1e139, -1e139])
    columns = tuple(rng.choice(pool, 200) for _ in fresh(operation))
    assert not np.isinf(evaluated(operation, columns)).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_arguments_are_taken(name: str) -> None:
    """Arguments at their largest over a short column give what they say, mostly nothing."""
    operation = INDICATORS[name]
    statics = tuple(one.maximum for one in operation.statics)
    columns = fresh(operation)
    for column in columns:
        column.flags.writeable = False
    values = operation.compute(columns, statics)[operation.output]
    assert np.isnan(values).all() == (operation.undefined(statics) >= BARS)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_of_a_family_have_one_computation(name: str) -> None:
    """Operations with equal family read the same and compute the same, each its own output."""
    operation = INDICATORS[name]
    columns = fresh(operation)
    statics = arguments(operation)
    for other in INDICATORS.values():
        if other.family != operation.family or arguments(other) != statics:
            continue
        assert (other.columns, other.series) == (operation.columns, operation.series)
        assert other.lookback(statics) == operation.lookback(statics)
        for column in columns:
            column.flags.writeable = False
        mine = operation.compute(columns, statics)[other.output]
        theirs = other.compute(columns, statics)[other.output]
        assert mine.tobytes() == theirs.tobytes()


def test_a_recursive_lookback_is_four_periods() -> None:
    """Smoothed indicators look back on four times the bars they are smoothed over."""
    for name in ("ema", "rma", "rsi", "atr", "adx", "plus_di", "minus_di"):
        assert INDICATORS[name].lookback((14.0,)) == RECURSIVE_LOOKBACK * 14
    assert INDICATORS["macd_signal"].lookback((12.0, 26.0, 9.0)) == 4 * (26 + 9)
    assert INDICATORS["macd_line"].lookback((26.0, 12.0, 9.0)) == 4 * (26 + 9)
