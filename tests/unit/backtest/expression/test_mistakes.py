"""Bad texts are refused at the character where they go wrong, with what was expected there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.backtest.core.strategies.definition import Definition
from tests.unit.backtest.expression.vocabulary import DEFINITION, problems_of

SYNTAX = [
    (" ", 1, "expected an expression, but the text ends here"),
    ("close >", 7, "expected an expression, but the text ends here"),
    ("close > > open", 8, 'expected an expression, not ">"'),
    ("close open", 6, 'expected an operator or the end, not "open"'),
    ("(close > 1", 10, 'expected an operator or ")", but the text ends here'),
    ("close > 1)", 9, 'expected an operator or the end, not ")"'),
    ("sma(close, 3 > 1", 16, 'expected an operator, "," or ")", but the text ends here'),
    ("sma(close 3) > 1", 10, 'expected an operator, "," or ")", not "3"'),
    ("sma(close,) > 1", 10, 'expected an expression, not ")"'),
    ("sma(, 3) > 1", 4, 'expected an expression, not ","'),
    ("+close > 1", 0, 'expected an expression, not "+"'),
    ("close = 1", 6, 'expected an operator or the end, not "="; "==" compares'),
    ("a < b < c", 6, "comparisons are not chained; write a < b and b < c"),
    ("close > 1 == true", 10, "comparisons are not chained; write a < b and b < c"),
    ("1 < not true", 4, '"not" needs parentheses here'),
    ("- not true", 2, 'expected an expression, not "not"'),
    ("true AND true", 5, 'expected an operator or the end, not "AND"; did you mean "and"?'),
    ("and", 0, 'expected an expression, not "and"'),
    ("close > '4h'", 8, "a label in quotes stands only in on() and comes first"),
    ("close > 12abc", 10, 'a number goes on with "a"; expected its end'),
    ("close > 1.2.3", 11, 'a number goes on with "."; expected its end'),
    ("close > 5.", 9, 'a number goes on with "."; expected its end'),
    ("close > 1_000", 9, 'a number goes on with "_"; expected its end'),
    ("close > 0x10", 9, 'a number goes on with "x"; expected its end'),
    ("close > .5", 8, '"." is no sign of the language; a point stands only between the digits'),
    ("close[1] > 2", 5, '"[" is no sign of the language; earlier bars are written shift('),
    ("close > 1 && true", 10, '"&" is no sign of the language; write "and"'),
    ("close ^ 2 > 1", 6, '"^" is no sign of the language; powers are written as products'),
    ("!true", 0, '"!" is no sign of the language; write "not"'),
    ("close ** 2 > 1", 7, 'expected an expression, not "*"'),
    ("close > $", 8, '"$" is no sign of the language'),
    ('on("4h, close) > 1', 3, "the quote is never closed"),
    ("close > 1e999", 8, "expected a number that float64 can hold"),
    ("close > 1e-999", 8, "expected a number that float64 can hold"),
    ("close > 9007199254740993", 8, "a whole number is at most 2^53; write a larger one with"),
    ("close > " + "9" * 41, 8, "a number has at most 40 characters"),
    ("close >\0 1", 7, "U+0000 is no plain ASCII character"),
    ("\u0441lose > 1", 0, "U+0441 (CYRILLIC SMALL LETTER ES) is no plain ASCII character"),
    ("close >\u00a01", 7, "U+00A0 (NO-BREAK SPACE) is no plain ASCII character"),
    ("close > \u0661", 8, "U+0661 (ARABIC-INDIC DIGIT ONE) is no plain ASCII character"),
    ('on("\uff14h", close) > 1', 4, "U+FF14 (FULLWIDTH DIGIT FOUR) is no plain ASCII character"),
    ("clo\u200bse > 1", 3, "U+200B (ZERO WIDTH SPACE) is no plain ASCII character"),
]

MEANING = [
    ("clsoe > 1", 0, 'nothing is called "clsoe"; did you mean "close"?'),
    ("close > lvel", 8, 'nothing is called "lvel"; did you mean "level"?'),
    ("Close > 1", 0, 'nothing is called "Close"; did you mean "close"?'),
    ("close > zzz", 8, 'nothing is called "zzz"'),
    ("smaa(close, 3) > 1", 0, 'no function is called "smaa"; did you mean "sma"?'),
    ("fast(3) > 1", 0, '"fast" is no function'),
    ("close(3) > 1", 0, '"close" is no function'),
    ("sma > 1", 0, '"sma" is a function: sma(series, period)'),
    ("abs > 1", 0, '"abs" is a function: abs(number)'),
    ("close", 0, "enter_long takes conditions, not a number"),
    ("5", 0, "enter_long takes conditions, not a whole number"),
    ("kind", 0, 'enter_long takes conditions, and "kind" is a word: it stands only as first'),
    ("1 or true", 0, '"or" takes conditions, not a whole number'),
    ("true and close", 9, '"and" takes conditions, not a number'),
    ("not close", 4, '"not" takes conditions, not a number'),
    ("true + 1 > 2", 0, '"+" takes numbers, not a condition'),
    ("-true > 2", 1, '"-" takes numbers, not a condition'),
    ("true == 1", 0, '"==" takes numbers, not a condition'),
    ("close > kind", 8, '">" takes numbers, and "kind" is a word: it stands only as first'),
    ("sma(close > 1, 3) > 1", 4, "sma() takes numbers, not a condition"),
    ("sma(close) > 1", 0, "expected sma(series, period); period is missing"),
    ("sma() > 1", 0, "expected sma(series, period); series is missing"),
    ("sma(close, 3, 4) > 1", 14, "expected sma(series, period), which has no more arguments"),
    ("sma(close, perod = 4) > 1", 11, 'no argument is called "perod"; did you mean "period"?'),
    ("sma(close, 3, period = 4) > 1", 14, "expected sma(series, period); period is given twice"),
    ("sma(period = 3, close) > 1", 16, "expected sma(series, period); arguments by name come last"),
    ('sma("4h", 3) > 1', 4, "expected sma(series, period); a label in quotes stands only in on()"),
    (
        "sma(close, close) > 1",
        11,
        "period must be the same at every bar: of numbers and parameters",
    ),
    ("sma(close, level) > 1", 11, "period must be a whole number"),
    ("sma(close, fast / 2) > 1", 11, "period must be a whole number"),
    ("sma(close, 2.0) > 1", 11, "period must be a whole number"),
    ("sma(close, true) > 1", 11, "period takes numbers, not a condition"),
    ("sma(close, 0) > 1", 11, "period must be at least 1 and at most 100, not 0"),
    ("sma(close, 50 * 2 + 1) > 1", 11, "period must be at least 1 and at most 100, not 101"),
    ("band(close, 3, 1 / 0) > 1", 15, "width must be at least 0 and at most 10, not nan"),
    ("shift(close, -1) > 1", 13, "bars must be at least 0 and at most 100, not -1"),
    ("abs(1, 2) > 1", 7, "expected 1 argument, abs(number), not 2"),
    ("min(1) > 1", 0, "expected 2 to 8 arguments, min(a, b, ...), not 1"),
    ("max(1,2,3,4,5,6,7,8,9) > 1", 20, "expected 2 to 8 arguments, max(a, b, ...), not 9"),
    ("abs(number = 1) > 1", 4, 'expected abs(number), without a name before "="'),
    ("abs('4h') > 1", 4, "expected abs(number), without a label in quotes"),
    ("crosses_above(close) ", 0, "expected 2 arguments, crosses_above(a, b), not 1"),
    ("crosses_above(true, close)", 14, "crosses_above() takes numbers, not a condition"),
    ("if_else(close, 1, 2) > 1", 8, "if_else() before its first comma takes conditions, not a"),
    ("if_else(true, 1, false) > 1", 17, "if_else() expected a number as before, not a condition"),
    ("if_else(true, true, 1)", 20, "if_else() expected a condition as before, not a number"),
    ("if_else(first_decision, 1, 2) > 1", 8, "first_decision decides conditions only, no number"),
    ("on(close, 1) > 1", 3, 'expected on("4h", expression); the interval stands in quotes: "4h"'),
    ('on("4h") > 1', 0, 'expected on("4h", expression)'),
    ('on("4h", "4h") > 1', 0, 'expected on("4h", expression)'),
    ('on("4h", a = close) > 1', 0, 'expected on("4h", expression)'),
    ('on("5h", close) > 1', 3, '"5h" is no interval; expected one of 1m, 3m, 5m, 15m, 30m, 1h'),
    ('on("1mo", close) > 1', 3, '"1mo" is no interval'),
    ('on("1d", on("4h", close)) > 1', 9, "on() does not stand within on()"),
    ('on("1d", 1 + on("4h", close)) > 1', 9, "on() does not stand within on()"),
    ('on("1d", first_decision)', 9, "first_decision does not stand within on()"),
    ('on("1d", kind)', 9, 'on() takes expressions, and "kind" is a word'),
    ("choose() > 1", 0, "expected choose(parameter, word = expression, ...)"),
    ("choose(close, plain = 1) > 1", 7, "expected choose(parameter, word = expression, ...)"),
    ("choose(kind, plain = 1) > 1", 0, 'every word of "kind"; quick has none'),
    ("choose(kind, plain = 1, quik = 2, quick = 3) > 1", 24, '"quik" is no word of "kind"; did'),
    ("choose(kind, plain = 1, plain = 2, quick = 3) > 1", 24, '"plain" has an expression already'),
    ("choose(kind, 1, plain = 2, quick = 3) > 1", 13, 'expected a word of "kind" and its'),
    ("choose(kind, plain = 1, quick = true) > 1", 32, "choose() expected a number as before"),
    ("9007199254740992 + 1 > 0", 0, "a whole number is beyond 2^53"),
]


@pytest.mark.parametrize(("text", "position", "told"), [*SYNTAX, *MEANING])
def test_a_mistake_is_told_at_its_character(text: str, position: int, told: str) -> None:
    """The last problem is the one meant; the character is counted from 1 for people."""
    problems = problems_of(replace(DEFINITION, enter_long=text))
    problem = problems[-1]
    assert (problem.field, problem.position) == ("enter_long", position)
    assert problem.message.startswith(f"character {position + 1}: ")
    assert told in problem.message
    assert problem.message.isascii()


@pytest.mark.parametrize(("text", "position", "told"), MEANING)
def test_one_mistake_is_told_once(text: str, position: int, told: str) -> None:
    """What depends on something broken is not broken again."""
    assert len(problems_of(replace(DEFINITION, enter_long=text))) == 1


def test_all_mistakes_of_all_texts_are_told() -> None:
    """Several of one text, and those of every text, by field."""
    definition = replace(
        DEFINITION,
        terms=(("first", "closs + opn"), ("second", "first * 2 + later"), ("later", "1 +")),
        enter_long="second > 1 and hgh > 2 and sma(close, 0) > lowest",
        exit_short="close >",
        stop_loss="true",
        requirements=("fast < slow", "fast + slow", "close > fast", "1 < 2", ""),
    )
    told = [(one.field, one.position) for one in problems_of(definition)]
    assert told == [
        ("terms[0].expression", 0),
        ("terms[0].expression", 8),
        ("terms[1].expression", 12),
        ("terms[2].expression", 3),
        ("enter_long", 15),
        ("enter_long", 38),
        ("enter_long", 43),
        ("exit_short", 7),
        ("stop_loss", 0),
        ("requirements[1]", 0),
        ("requirements[2]", 0),
        ("requirements[3]", 0),
        ("requirements[4]", None),
    ]


def test_a_term_is_no_use_before_it_stands() -> None:
    """Neither for terms before it nor for itself."""
    definition = replace(DEFINITION, terms=(("one", "two + 1"), ("two", "two + 1")))
    problems = problems_of(definition)
    assert [one.field for one in problems] == ["terms[0].expression", "terms[1].expression"]
    assert all('the term "two" comes later' in one.message for one in problems)


def test_first_decision_hidden_in_a_term_decides_no_number_either() -> None:
    """Terms hide nothing: neither that nor a longer interval."""
    terms = (("start", "not first_decision"), ("daily", 'on("1d", close)'))
    assert problems_of(replace(DEFINITION, terms=terms, stop_loss="if_else(start, 1, 2)"))
    assert problems_of(replace(DEFINITION, terms=terms, stop_loss='on("1w", daily)'))


@pytest.mark.parametrize(
    ("field", "definition"),
    [
        ("stop_loss", replace(DEFINITION, stop_loss="close > 1")),
        ("take_profit", replace(DEFINITION, take_profit="close > 1")),
        ("trailing_stop", replace(DEFINITION, trailing_stop="close > 1")),
        ("position_fraction", replace(DEFINITION, position_fraction="close > 1")),
    ],
)
def test_distances_are_numbers(field: str, definition: Definition) -> None:
    """A condition is none."""
    told = f"character 1: {field} takes numbers, not a condition"
    assert [(one.field, one.message) for one in problems_of(definition)] == [(field, told)]
