"""Objectives that are expressions over metrics."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.spec.expression import Expression, ExpressionError
from services.optimizer.core.spec.objectives import Objective


def value(text: str, **metrics: float) -> float | None:
    """Return the value of an expression."""
    return Objective("score", maximize=True, expression=Expression(text)).value(metrics)


def test_without_an_expression_it_is_the_metric() -> None:
    """Bit for bit, and undefined where the metric is."""
    plain = Objective("sharpe_ratio", maximize=True)

    assert plain.value({"sharpe_ratio": 0.1}) == 0.1
    assert plain.value({}) is None
    assert plain.metrics == ("sharpe_ratio",)


def test_decimals_are_exact_and_rounded_once() -> None:
    """A tenth is a tenth: the sum is 0.3, which doubles alone do not give."""
    assert value("a + b", a=0.1, b=0.2) == 0.3
    assert value("a / b", a=1.0, b=3.0) == 1 / 3
    assert value("(a - b) * 1e15", a=1.000000000000001, b=1.0) == 1.0
    assert value("-a", a=0.5) == -0.5
    assert Objective("x", maximize=True, expression=Expression("b - a * b")).metrics == ("b", "a")


@given(
    a=st.floats(-1e6, 1e6, allow_nan=False),
    b=st.floats(-1e6, 1e6, allow_nan=False),
    c=st.floats(-1e6, 1e6, allow_nan=False),
)
def test_it_is_the_nearest_double_of_the_exact_value(a: float, b: float, c: float) -> None:
    """Over the shortest decimals of the metrics."""
    exact = Fraction(repr(a)) - 2 * Fraction(repr(b)) * Fraction(repr(c))

    assert value("a - 2 * b * c", a=a, b=b, c=c) == float(exact)


def test_undefined_is_undefined() -> None:
    """A missing metric, a zero divisor, a number beyond doubles; never a stand-in."""
    assert value("a + b", a=1.0) is None
    assert value("1 / a", a=0.0) is None
    assert value("a / (b - b)", a=1.0, b=2.0) is None
    assert value("a * 1e99 * 1e99 * 1e99 * 1e99", a=1.0) is None
    assert value("a", a=math.nan) is None
    assert value("a", a=math.inf) is None


def test_equal_texts_are_equal_objectives() -> None:
    """So that studies can be compared."""
    assert Expression("a + b") == Expression("a + b")
    assert Objective("x", True, Expression("a")) != Objective("x", True, Expression("b"))
    assert hash(Objective("x", True, Expression("a"))) == hash(
        Objective("x", True, Expression("a"))
    )


@pytest.mark.parametrize("text", ["", "a <", "a < b", "a b", "max(a)", "a ** 2", "(" * 40 + "a"])
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    """With the character."""
    with pytest.raises(ExpressionError, match=r"character|nested"):
        _ = Expression(text).names
