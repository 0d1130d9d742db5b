"""Plug-ins: what authors make, what is refused at the start, and what is checked at every call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numba import njit

from services.backtest.core import strategies, version
from services.backtest.core.indicators import registry
from services.backtest.core.indicators.operation import Columns, Statics
from services.backtest.core.kernel import Numbers, frozen
from services.backtest.core.plugins import (
    Definition,
    Operation,
    ParameterInfo,
    ParameterType,
    bars,
    indicator,
    number,
    position_function,
)
from services.backtest.core.plugins.calls import PlugInFailed, outputs
from services.backtest.core.plugins.installation import PlugIn, PlugInInvalid, install


def _lagged(values: Numbers, period: int) -> Numbers:
    out = np.full(len(values), -1.0)
    for bar in range(period, len(values)):
        out[bar] = values[bar - period]
    return out


def _sums(values: Numbers) -> Numbers:
    out = values.copy()
    for bar in range(1, len(values)):
        out[bar] += out[bar - 1]
    return out


lagged_kernel = njit(nogil=True)(_lagged)
sums_kernel = njit(nogil=True)(_sums)

LAGGED = indicator(
    "lagged",
    "The value period bars before.",
    kernel=lagged_kernel,
    series=("series",),
    parameters=(bars("period", "Bars.", 2),),
    lookback=lambda period: period,
    lookback_text="period",
)
SUMS = indicator(
    "sums",
    "The sum of all values.",
    kernel=sums_kernel,
    series=("series",),
    lookback=lambda: 3,
    lookback_text="3",
    undefined=lambda: 0,
    keeps_state=True,
)


def column(*values: float) -> Columns:
    """Return one read-only column, as the core gives it."""
    return (frozen(np.array(values)),)


def plugin(*operations: Operation, definitions: tuple[Definition, ...] = ()) -> PlugIn:
    """Return a plug-in of a package."""
    return PlugIn("acme-indicators", "1.0", "all", operations, definitions)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Take what a test installs away again."""
    places: list[dict[str, Any]] = [
        registry._OPERATIONS,
        strategies._STRATEGIES,
        version._PLUGINS,
    ]
    before = [dict(place) for place in places]
    yield
    for place, content in zip(places, before, strict=True):
        place.clear()
        place.update(content)


def test_an_indicator_is_its_kernel_with_the_first_values_undefined() -> None:
    """Whatever the kernel returns there; and it is not called with too few bars."""
    (values,) = LAGGED.compute(column(1, 2, 3, 4), (2.0,))
    (short,) = LAGGED.compute(column(1, 2), (2.0,))

    np.testing.assert_array_equal(values, [np.nan, np.nan, 1, 2])
    np.testing.assert_array_equal(short, [np.nan, np.nan])
    assert LAGGED.signature == "lagged(series, period = 2)"
    assert (LAGGED.lookback((5.0,)), LAGGED.undefined((5.0,))) == (5, 5)


def test_holes_hide_a_windows_values_and_are_passed_over_by_a_state() -> None:
    """The rules of built-in indicators hold: a kernel never meets what is no number."""
    (windowed,) = LAGGED.compute(column(1, 2, np.inf, 4, 5, 6), (1.0,))
    (state,) = SUMS.compute(column(1, 2, np.nan, 4), ())

    np.testing.assert_array_equal(windowed, [np.nan, 1, np.nan, np.nan, 4, 5])
    np.testing.assert_array_equal(state, [1, 3, np.nan, 7])


def test_a_position_function_is_an_indicator_and_a_strategy() -> None:
    """The strategy follows the sign of the position on both sides."""
    operation, definition = position_function(
        "momentum",
        "Long while above zero.",
        kernel=lagged_kernel,
        columns=("close",),
        parameters=(bars("period", "Bars.", 2),),
        lookback=lambda period: period,
        lookback_text="period",
    )

    install([plugin(operation, definitions=(definition,))])

    assert registry.INDICATORS["momentum"].plugin == "acme-indicators"
    assert strategies.STRATEGIES["momentum"].definition.enter_long == "momentum(period) > 0"
    assert definition.exit_short == "momentum(period) >= 0"
    assert list(strategies.STRATEGIES) == sorted(strategies.STRATEGIES)
    assert list(registry.INDICATORS) == sorted(registry.INDICATORS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"nogil": False}, "nogil=True"),
        ({"nogil": True, "fastmath": True}, "fastmath"),
        ({"nogil": True, "parallel": True}, "parallel"),
        (None, "compiled"),
    ],
)
def test_kernels_that_hold_the_lock_or_differ_between_machines_are_refused(
    options: dict[str, Any] | None, told: str
) -> None:
    """Equal requests give equal bits, and a worker answers while it computes."""
    kernel = _sums if options is None else njit(**options)(_sums)

    with pytest.raises(ValueError, match=told):
        indicator(
            "sums",
            "Sums.",
            kernel=kernel,
            series=("series",),
            lookback=lambda: 0,
            lookback_text="0",
        )


def test_parameters_of_indicators_are_bounded_numbers() -> None:
    """A word, or a number without bounds, is refused where it is declared."""
    word = ParameterInfo("kind", ParameterType.CATEGORY, "", "", None, None, ("a", "b"))

    with pytest.raises(ValueError, match="kind must be a number"):
        replace_parameters(word)
    assert replace_parameters(number("width", "Width.", 1.5, 0.5, 9.0)).statics[0].default == 1.5


def replace_parameters(info: ParameterInfo) -> Operation:
    """Return an indicator with a parameter."""
    return indicator(
        "lagged",
        "A value.",
        kernel=lagged_kernel,
        series=("series",),
        parameters=(info,),
        lookback=lambda _: 0,
        lookback_text="0",
    )


def raising(_columns: Columns, _statics: Statics) -> Columns:
    """Fail."""
    raise ZeroDivisionError("secret")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is none": ({"name": "Lagged"}, "no name of the language"),
    "a built-in's name": ({"name": "sma"}, "a function of this service"),
    "a word of the language": ({"name": "close"}, "a word of the language"),
    "a parameter of a built-in strategy": ({"name": "fast_period"}, "built-in strategy"),
    "an unknown column": ({"columns": ("funding",)}, "reads 'funding'"),
    "nothing to read": ({"series": ()}, "reads no column"),
    "an argument twice": ({"series": ("period",)}, "two arguments"),
    "an argument that is a word": ({"series": ("and",)}, "has an argument 'and'"),
    "no description": ({"description": ""}, "no description"),
    "a lookback that is none": ({"lookback": lambda _: -1}, "lookback None"),
    "a lookback that raises": ({"lookback": lambda _: 1 // 0}, "lookback None"),
    "a fraction of a bar": ({"lookback": lambda _: 1.5}, "lookback None"),
    "more undefined than looked back": ({"lookback": lambda _: 0}, "undefined"),
    "an exception": ({"compute": raising}, "raised ZeroDivisionError: secret"),
    "no tuple": ({"compute": lambda columns, _: columns[0]}, "gave ndarray of shape"),
    "no second column": ({"output": 1}, "gave 1, not a tuple of 2"),
    "a longer column": (
        {"compute": lambda columns, _: (np.append(columns[0], 1.0),)},
        "gave 67 values for 66 bars",
    ),
    "whole numbers": (
        {"compute": lambda columns, _: (columns[0].astype(np.int64),)},
        "gave a column of int64",
    ),
    "numbers too early": ({"compute": lambda columns, _: columns}, "numbers in its first 2"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_indicator_that_breaks_a_rule_is_refused_at_the_start(what: str) -> None:
    """One message names package, entry point, indicator and the rule; nothing is installed."""
    changes, told = BROKEN[what]
    before = dict(registry.INDICATORS)

    with pytest.raises(PlugInInvalid, match=re.escape(told)) as refused:
        install([plugin(SUMS, replace(LAGGED, **changes))])

    assert 'plug-in acme-indicators 1.0, entry point "all": indicator' in str(refused.value)
    assert dict(registry.INDICATORS) == before
    assert version.code_version() == version.CODE_VERSION


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (Definition("macd", enter_long="close > 1"), "a strategy of this service"),
        (Definition("", enter_long="close > 1"), "no name"),
        (Definition("own", enter_long="close > lagged(close, 0)"), "enter_long"),
        (Definition("own"), "enter_long: is required"),
        (
            Definition(
                "own",
                parameters=(number("leverage", "Leverage.", 1.0, 1.0, 2.0),),
                enter_long="close > leverage",
            ),
            "parameter of the execution model, 'leverage'",
        ),
    ],
)
def test_a_strategy_that_breaks_a_rule_is_refused_at_the_start(
    definition: Definition, told: str
) -> None:
    """Definitions of plug-ins keep the rules of those a caller sends."""
    with pytest.raises(PlugInInvalid, match=re.escape(told)):
        install([plugin(LAGGED, definitions=(definition,))])
    assert "lagged" not in registry.INDICATORS


def test_two_plugins_with_one_name_are_refused() -> None:
    """The second is told whose the name is."""
    other = PlugIn("other", "2.0", "all", (LAGGED,))

    with pytest.raises(PlugInInvalid, match=r"plug-in other 2\.0.*a function of acme-indicators"):
        install([plugin(LAGGED), other])


def test_the_version_of_the_code_names_the_plugins() -> None:
    """Another version of a plug-in may give other bits; a long list of them becomes a digest."""
    install([PlugIn("b", "2", "x", (SUMS,)), PlugIn("a", "1", "y", (LAGGED,))])
    assert version.code_version() == f"{version.CODE_VERSION}+a==1+b==2"

    version.name_plugins({f"plug-in-number-{number}": "1.0" for number in range(20)})
    many = version.code_version()
    assert many.startswith(f"{version.CODE_VERSION}+22-plugins-")
    assert len(many) <= 128
    version.name_plugins({"a": "1.1"})
    assert version.code_version() != many


def test_what_a_plugin_gives_can_not_change_later() -> None:
    """Its column is copied; a kernel that keeps its own may write to it again."""
    kept = np.zeros(3)
    own = replace(SUMS, plugin="acme", compute=lambda _columns, _statics: (kept,))

    (made,) = outputs(own, column(1, 2, 3), ())
    kept[:] = 9.0

    assert made.tolist() == [0, 0, 0]


def test_a_failing_call_names_the_indicator_and_its_package_and_no_more() -> None:
    """Callers learn whose defect it is, not what the exception says."""
    with pytest.raises(PlugInFailed) as failed:
        outputs(replace(SUMS, plugin="acme", compute=raising), column(1, 2, 3), ())
    assert str(failed.value) == "sums of acme raised ZeroDivisionError"


def test_built_in_indicators_are_called_as_they_are() -> None:
    """They are tested instead: nothing is copied or caught."""
    with pytest.raises(ZeroDivisionError):
        outputs(replace(SUMS, compute=raising), column(1, 2, 3), ())


def test_families_of_plugins_share_their_computation_among_themselves_only() -> None:
    """A family that has the name of a built-in one is another family."""
    install([plugin(replace(LAGGED, family="macd_line"))])

    assert registry.INDICATORS["lagged"].family == "acme-indicators/macd_line"
