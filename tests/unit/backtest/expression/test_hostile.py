"""Texts meant to hurt: refused, without deep recursion and without much work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.backtest.core.expression.words import MOST_CHARACTERS, MOST_DEPTH, MOST_NODES
from services.backtest.core.strategies.definition import Definition
from tests.unit.backtest.expression.vocabulary import DEFINITION, problems_of, program_of


@pytest.fixture(autouse=True)
def _shallow_stack() -> Iterator[None]:
    """Leave room for 450 calls only: far fewer than the texts are nested."""
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 450)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 1_000_000, id="a megabyte"),
        pytest.param("close > 1 or " * 80_000 + "true", id="a megabyte of sense"),
        pytest.param("(" * 100_000, id="a hundred thousand parentheses"),
        pytest.param("(" * 8_000 + "true" + ")" * 8_000, id="thousands of parentheses"),
        pytest.param("not " * 4_000 + "true", id="thousands of denials"),
        pytest.param("-" * 16_000 + "1 > 0", id="thousands of signs"),
        pytest.param("not (" * 3_000 + "true", id="denials in parentheses"),
        pytest.param("abs(" * 4_000 + "1", id="calls in calls"),
        pytest.param("min(1, -(" * 1_600 + "1", id="all in each other"),
        pytest.param("true or (true and 1 < 2 + 3 * (" * 500, id="every level of operators"),
        pytest.param("f(" * 8_000, id="unknown calls"),
        pytest.param("1" + " + 1" * 300 + " > 0", id="a long sum"),
        pytest.param("true" + " and true" * 1_500, id="a long row"),
        pytest.param("min(" + "1," * 8_000, id="thousands of arguments"),
        pytest.param("choose(kind" + ", plain = 1" * 1_400 + ") > 1", id="thousands of words"),
        pytest.param("+".join(f"xyzzy{n}" for n in range(1_500)), id="thousands of unknown names"),
        pytest.param("x" * 16_000, id="an endless name"),
        pytest.param("9" * 16_000 + " > 1", id="an endless number"),
        pytest.param("1e" + "9" * 16_000 + " > 1", id="an endless exponent"),
        pytest.param('on("' + "4" * 16_000 + 'h", close) > 1', id="an endless label"),
        pytest.param("'" * 16_000, id="quotes"),
        pytest.param("sma(close, 99999999999999999999) > 1", id="a huge window"),
        pytest.param("sma(close, 9007199254740992 * 9007199254740992) > 1", id="a huge product"),
        pytest.param("__import__('os').system('true')", id="an import"),
        pytest.param("().__class__.__bases__[0].__subclasses__()", id="attributes"),
        pytest.param("close.real > 1", id="an attribute"),
        pytest.param("[c for c in close]", id="a comprehension"),
        pytest.param("lambda: close > 1", id="a lambda"),
        pytest.param("close > 1; import os", id="a statement"),
        pytest.param("(x := close) > 1", id="an assignment"),
        pytest.param("close > 1 if true else false", id="a Python choice"),
        pytest.param("f'{close}' > 1", id="a Python string"),
        pytest.param("\\u0063lose > 1", id="an escape"),
        pytest.param("\uff43lose > 1", id="a full-width letter"),
        pytest.param("close > 1 # true", id="a comment"),
        pytest.param("close > 1\0", id="a null byte"),
        pytest.param("\ufeffclose > 1", id="a byte order mark"),
        pytest.param("\u202eclose > 1", id="text turned round"),
        pytest.param("close > \ud800", id="half a surrogate pair"),
    ],
)
def test_hostile_texts_are_refused(text: str) -> None:
    """With problems in the field, at characters of the text, in messages of bounded length."""
    problems = problems_of(replace(DEFINITION, enter_long=text))
    assert 1 <= len(problems) <= 100
    for problem in problems:
        assert problem.field == "enter_long"
        assert problem.position is None or 0 <= problem.position <= len(text)
        assert len(problem.message) < 300
        assert problem.message.isascii()


def _doubling(count: int) -> Definition:
    terms = [("t0", "close")]
    terms += [(f"t{n}", f"t{n - 1} + t{n - 1}") for n in range(1, count)]
    return replace(DEFINITION, terms=tuple(terms), enter_long=f"t{count - 1} > 1")


def test_terms_that_double_each_other_stay_small() -> None:
    """A term is read once, however often it is used: 2^40 sums are 40 nodes."""
    assert len(program_of(_doubling(41)).nodes) == 43


def test_depth_counts_terms_written_out() -> None:
    """A chain of terms is as deep as what it stands for."""
    program_of(_doubling(MOST_DEPTH - 1))
    (problem,) = problems_of(_doubling(MOST_DEPTH))
    assert (problem.field, problem.position) == ("enter_long", 0)
    assert "nested deeper than 64 operations" in problem.message


def test_nesting_up_to_the_limit_is_read() -> None:
    """Sixty-four parentheses, sixty-two signs; not one more."""
    inside = "(" * MOST_DEPTH + "close > 1" + ")" * MOST_DEPTH
    assert not problems_of(replace(DEFINITION, enter_long=inside))
    (problem,) = problems_of(replace(DEFINITION, enter_long=f"({inside})"))
    assert problem.position == MOST_DEPTH
    signs = "-" * (MOST_DEPTH - 2)
    assert not problems_of(replace(DEFINITION, enter_long=f"{signs}close > 1"))
    assert problems_of(replace(DEFINITION, enter_long=f"-{signs}close > 1"))


def test_operations_are_counted_before_equal_ones_become_one() -> None:
    """A thousand may be written; one more is refused where it stands, and reading ends."""
    row = " or ".join(["true"] * (MOST_NODES // 2))
    most = f"{row} or true"[: len(row)]
    assert not problems_of(replace(DEFINITION, enter_long=most))
    definition = replace(DEFINITION, enter_long=most, exit_long="true or true", exit_short="(")
    (problem,) = problems_of(definition)
    assert (problem.field, problem.position) == ("exit_long", 5 + 3)
    assert "more than 1,000 operations" in problem.message


def test_characters_of_all_texts_are_counted_together() -> None:
    """Spaces count; the text that goes beyond is named."""
    half = "true" + " " * (MOST_CHARACTERS // 2 - 4)
    definition = replace(DEFINITION, enter_long=half, exit_long=half)
    assert not problems_of(definition)
    (problem,) = problems_of(replace(definition, exit_short="true"))
    assert (problem.field, problem.position) == ("exit_short", None)
    assert "16,388" in problem.message
