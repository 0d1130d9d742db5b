"""Good texts become the operations they say."""

from __future__ import annotations

import pytest

from services.backtest.core.expression.program import Kind
from tests.unit.backtest.expression.vocabulary import number_program, program, shown


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("close > 5", "greater(close, 5)"),
        ("(close>5)", "greater(close, 5)"),
        ("\tclose\r\n >5 ", "greater(close, 5)"),
        ("hour >= 8 and weekday < 5", "and(greater_equal(hour, 8), less(weekday, 5))"),
        ("close != open", "not_equal(close, open)"),
        ("close == open", "equal(close, open)"),
        ("close <= 1.5e3", "less_equal(close, 1500.0)"),
        ("true", "True"),
        ("not false", "not(False)"),
        ("first_decision", "first_decision"),
        ("crosses_above(close, level)", "crosses_above(close, level)"),
        (
            "crosses_below(sma(close, fast), ema(close, slow))",
            "crosses_below(sma(close; fast), ema(close; slow))",
        ),
        (
            "if_else(close > open, hour > 1, true)",
            "if_else(greater(close, open), greater(hour, 1), True)",
        ),
        ('on("4h", close > sma(close, 3))', "on(4h, greater(close, sma(close; 3)))"),
        ("on('1d', close) > 1", "greater(on(1d, close), 1)"),
        (
            "choose(kind, quick = close > 1, plain = false)",
            "choose(kind, plain = False, quick = greater(close, 1))",
        ),
        ("obv() > 0", "greater(obv, 0)"),
    ],
)
def test_conditions(text: str, operations: str) -> None:
    """Every form of a condition."""
    compiled = program(text)
    assert shown(compiled, compiled.signals["enter_long"]) == operations


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("2 * atr(14) / close", "divide(multiply(2, atr(; 14)), close)"),
        ("abs(level)", "absolute(level)"),
        ("min(1, 2, 3)", "smaller(smaller(1, 2), 3)"),
        ("max(fast, slow)", "larger(fast, slow)"),
        ("sqrt(close)", "square_root(close)"),
        ("band(close)", "band(close; 20, 2.0)"),
        ("band(close, 5)", "band(close; 5, 2.0)"),
        ("band(close, width = level)", "band(close; 20, level)"),
        ("band(width = 3, series = close, period = fast + 1)", "band(close; add(fast, 1), 3)"),
        (
            "sma(close, choose(kind, plain = fast, quick = 2))",
            "sma(close; choose(kind, plain = fast, quick = 2))",
        ),
        ("sma(close, min(fast, slow))", "sma(close; smaller(fast, slow))"),
        (
            "sma(close, if_else(fast < slow, fast, 7))",
            "sma(close; if_else(less(fast, slow), fast, 7))",
        ),
        ("shift(high - low, 0)", "shift(subtract(high, low); 0)"),
        ("if_else(close > open, 1, 2)", "if_else(greater(close, open), 1, 2)"),
    ],
)
def test_numbers(text: str, operations: str) -> None:
    """Every form of a number."""
    assert shown(*number_program(text)) == operations


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 * 2 + 3", "(1 * 2) + 3"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("8 / 4 / 2", "(8 / 4) / 2"),
        ("8 / 4 * 2", "(8 / 4) * 2"),
        ("-1 * 2", "(-1) * 2"),
        ("2 * -1", "2 * (-1)"),
        ("1 - -1", "1 - (-(1))"),
        ("--1", "-(-1)"),
        ("-close - open", "(-close) - open"),
    ],
)
def test_arithmetic_binds_as_in_school(text: str, same: str) -> None:
    """A sign binds tighter than a product, a product tighter than a sum; from left to right."""
    assert shown(*number_program(text)) == shown(*number_program(same))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("true or false and true", "true or (false and true)"),
        ("true and false or true", "(true and false) or true"),
        ("not true and false", "(not true) and false"),
        ("not close > 1", "not (close > 1)"),
        ("not not true", "not (not true)"),
        ("close + 1 > open * 2", "(close + 1) > (open * 2)"),
        ("true and not false", "true and (not false)"),
        ("true and true and false", "(true and true) and false"),
    ],
)
def test_conditions_bind_looser_than_numbers(text: str, same: str) -> None:
    """Or, and, not, comparisons, arithmetic: from loosest to tightest."""
    one, other = program(text), program(same)
    assert shown(one, one.signals["enter_long"]) == shown(other, other.signals["enter_long"])


@pytest.mark.parametrize(
    ("text", "kind", "static"),
    [
        ("5", Kind.WHOLE, True),
        ("5.0", Kind.NUMBER, True),
        ("5e0", Kind.NUMBER, True),
        ("fast", Kind.WHOLE, True),
        ("level", Kind.NUMBER, True),
        ("close", Kind.NUMBER, False),
        ("-fast", Kind.WHOLE, True),
        ("fast * 2 - slow", Kind.WHOLE, True),
        ("abs(fast - slow)", Kind.WHOLE, True),
        ("max(fast, 2)", Kind.WHOLE, True),
        ("max(fast, 2.0)", Kind.NUMBER, True),
        ("fast / 2", Kind.NUMBER, True),
        ("sqrt(4)", Kind.NUMBER, True),
        ("fast + close", Kind.NUMBER, False),
        ("sma(5, 2)", Kind.NUMBER, False),
        ("if_else(fast < slow, 1, 2)", Kind.WHOLE, True),
        ("if_else(close < open, 1, 2)", Kind.NUMBER, False),
        ("choose(kind, plain = 1, quick = 2)", Kind.WHOLE, True),
        ("choose(kind, plain = 1, quick = 2.5)", Kind.NUMBER, True),
        ("choose(kind, plain = 1, quick = close)", Kind.NUMBER, False),
        ('on("1h", 5)', Kind.NUMBER, False),
    ],
)
def test_what_an_expression_gives(text: str, kind: Kind, static: bool) -> None:
    """Whole numbers stay whole where they can, and only statics are whole."""
    compiled, place = number_program(text)
    assert (compiled.nodes[place].kind, compiled.nodes[place].static) == (kind, static)


def test_whole_constants_are_ints_and_others_floats() -> None:
    """The value tells the kind, also for the largest and the smallest."""
    for text, value in [("9007199254740992", 2**53), ("1e308", 1e308), ("0.0e-999", 0.0)]:
        compiled, place = number_program(text)
        found = compiled.nodes[place].value
        assert (type(found), found) == (type(value), value)


def test_a_crossing_is_never_static() -> None:
    """It needs the bar before, whatever its sides are."""
    compiled = program("crosses_above(1, 2)")
    assert not compiled.nodes[compiled.signals["enter_long"]].static


def test_a_term_is_used_by_name() -> None:
    """Terms use parameters and terms before them, and may be conditions or whole numbers."""
    terms = (("length", "fast * 2"), ("mean", "sma(close, length)"), ("up", "close > mean"))
    compiled = program("up and mean > 3", *terms)
    mean = "sma(close; multiply(fast, 2))"
    expected = f"and(greater(close, {mean}), greater({mean}, 3))"
    assert shown(compiled, compiled.signals["enter_long"]) == expected


def test_a_node_tells_where_it_stands() -> None:
    """Field and first character of its text, also behind parentheses."""
    compiled = program("(close + 1) > sma(open, fast)")
    told = {node.operation: (node.field, node.position) for node in compiled.nodes}
    assert told["greater"] == ("enter_long", 0)
    assert told["add"] == ("enter_long", 1)
    assert told["sma"] == ("enter_long", 14)
    assert told["parameter"] == ("enter_long", 24)


def test_a_long_row_of_conditions_is_not_nested() -> None:
    """Two hundred of them are as flat as two."""
    text = " or ".join(f"close > {number}" for number in range(200))
    compiled = program(text)
    assert sum(node.operation == "or" for node in compiled.nodes) == 199
    assert [node.value for node in compiled.nodes if node.operation == "constant"] == [*range(200)]
