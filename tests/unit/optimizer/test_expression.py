"""The language of constraints."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.spec.expression import (
    DEEPEST_NESTING,
    ExpressionError,
    parse_comparison,
)


def left_side(text: str, **values: int) -> Fraction | int:
    """Return the value of an expression."""
    return parse_comparison(f"{text} < 0").left(values)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 - 3 - 2", 3),
        ("12 / 2 / 3", 2),
        ("-2 * -3", 6),
        ("--4", 4),
        ("1 / 3 * 3", 1),
        ("0.1 + 0.2", Fraction(3, 10)),
        (".5 + 1. + 1e2 + 1.5E-1", Fraction("101.65")),
    ],
)
def test_arithmetic_is_that_of_school(text: str, wanted: Fraction | int) -> None:
    """Precedence, grouping and exact decimals."""
    assert left_side(text) == wanted


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """Draw an expression that Python reads the same way."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["a", "b", "1", "2", "7"]))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    form = draw(st.sampled_from(["{} + {}", "{} - {}", "{} * {}", "({} - {})", "-{} + {}"]))
    return form.format(left, right)


@given(text=expressions(), a=st.integers(-9, 9), b=st.integers(-9, 9))
def test_values_equal_pythons_own(text: str, a: int, b: int) -> None:
    """An independent evaluator agrees."""
    if len(text) <= 190:
        assert left_side(text, a=a, b=b) == eval(text, {}, {"a": a, "b": b})


def test_names_are_told_with_their_places() -> None:
    """So that an unknown one can be pointed at."""
    assert parse_comparison("fast < 2 * slow_2").names == {"fast": 1, "slow_2": 12}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1: expected a number, a name or '(', but found the text ends"),
        ("a", "character 2: expected one of < <= > >= =="),
        ("a < ", "character 5: expected a number"),
        ("a << b", "character 4: expected a number"),
        ("a = b", "character 3: '=' is not allowed"),
        ("a < b < c", "character 7: expected the end"),
        ("(a < b", "character 4: expected ')'"),
        ("a ** 2 < b", "character 4: expected a number"),
        ("a.__class__ < 1", "character 2: '.' is not allowed"),
        ("f(a) < 1", "character 2: expected one of"),
        ("__import__('os') < 1", 'character 12: "\'" is not allowed'),
        ("a < 1e999", "character 6: expected the end"),
        ("a < é", "character 5: 'é' is not allowed"),
        ("a; b < 1", "character 2: ';' is not allowed"),
        ("a < 1 and b < 2", "character 7: expected the end"),
    ],
)
def test_everything_else_is_refused_at_its_character(text: str, message: str) -> None:
    """The language is closed, and the message names the place."""
    with pytest.raises(ExpressionError, match=re.escape(message)):
        parse_comparison(text)


def test_length_and_depth_are_bounded() -> None:
    """200 characters, and no nesting that could exhaust the stack."""
    parse_comparison("a < " + "1" * 196)
    with pytest.raises(ExpressionError, match="201 characters"):
        parse_comparison("a < " + "1" * 197)
    parse_comparison("(" * DEEPEST_NESTING + "a" + ")" * DEEPEST_NESTING + " < 1")
    with pytest.raises(ExpressionError, match="nested deeper"):
        parse_comparison("-" * 150 + "a < 1")
