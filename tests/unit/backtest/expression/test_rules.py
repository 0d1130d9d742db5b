"""Names, bounds, words, defaults and counts of a definition; every violation at once."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from services.backtest.core.parameters import ParameterInfo
from services.backtest.core.strategies.definition import Definition
from tests.unit.backtest.expression.vocabulary import DEFINITION, FAST, KIND, LEVEL, problems_of


def told(definition: Definition) -> list[tuple[str, str]]:
    """Return fields and messages of all problems."""
    return [(one.field, one.message) for one in problems_of(definition)]


FORM = 'a lower-case letter, then up to 62 lower-case letters, digits and "_"'


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is required"),
        ("Fast", f'"Fast" is no name; expected {FORM}'),
        ("9fast", f'"9fast" is no name; expected {FORM}'),
        ("fast period", f'"fast period" is no name; expected {FORM}'),
        ("fast\n", f'"fast\\n" is no name; expected {FORM}'),
        ("f\u00e4st", f'"f\\xe4st" is no name; expected {FORM}'),
        ("a" * 64, f'"{"a" * 63}..." is no name; expected {FORM}'),
        ("close", '"close" is a word of the language; expected a name of its own'),
        ("and", '"and" is a word of the language; expected a name of its own'),
        ("choose", '"choose" is a word of the language; expected a name of its own'),
        ("first_decision", '"first_decision" is a word of the language; expected a name of its'),
        ("sma", '"sma" is a function; expected a name of its own'),
        ("level", '"level" is the name of parameters[0]; expected a name of its own'),
    ],
)
def test_names_of_parameters_and_terms(name: str, message: str) -> None:
    """Both have the same form, and no other meaning."""
    own = replace(DEFINITION, parameters=(LEVEL, replace(FAST, name=name)))
    assert [field for field, _ in told(own)] == ["parameters[1].name"]
    assert told(own)[0][1].startswith(message)
    named = replace(DEFINITION, parameters=(LEVEL,), terms=((name, "close"),))
    assert [field for field, _ in told(named)] == ["terms[0].name"]
    assert told(named)[0][1].startswith(message)


def test_names_of_sixty_three_characters_are_names() -> None:
    """The longest there are."""
    name = "a" + "b_9" * 20 + "cd"
    assert len(name) == 63
    assert not told(replace(DEFINITION, parameters=(replace(FAST, name=name),)))


def test_two_terms_share_no_name() -> None:
    """The second is told."""
    terms = (("mean", "close"), ("mean", "open"))
    assert [field for field, _ in told(replace(DEFINITION, terms=terms))] == ["terms[1].name"]


@pytest.mark.parametrize(
    ("info", "field", "message"),
    [
        (replace(FAST, minimum=None), "minimum", "is required for numbers"),
        (replace(FAST, maximum=None), "maximum", "is required for numbers"),
        (replace(FAST, minimum=1.5), "minimum", "must be a whole number, not 1.5"),
        (replace(FAST, maximum=2.0**53 + 2), "maximum", "must be within +-2^53, not"),
        (replace(LEVEL, minimum=-math.inf), "minimum", "must be finite, not -inf"),
        (replace(LEVEL, maximum=math.nan), "maximum", "must be finite, not nan"),
        (replace(LEVEL, minimum=11.0), "maximum", "must be at least minimum, 11, not 10"),
        (replace(LEVEL, categories=("a",)), "categories", "is for words only"),
        (replace(LEVEL, default=11.0), "default_value", "must be at least -10 and at most 10"),
        (replace(LEVEL, default="a"), "default_value", "must be a number, not 'a'"),
        (replace(FAST, default=2.5), "default_value", "must be a whole number, not 2.5"),
        (replace(KIND, default="slow"), "default_value", "must be one of plain, quick"),
        (replace(KIND, categories=()), "categories", "is required for words"),
        (replace(KIND, minimum=1.0), "minimum", "is for numbers only"),
        (replace(KIND, maximum=1.0), "maximum", "is for numbers only"),
        (replace(KIND, categories=("a", "B")), "categories[1]", '"B" is no word; expected'),
        (replace(KIND, categories=("a", "b", "a")), "categories[2]", '"a" is given twice'),
        (replace(KIND, unit="u" * 33), "unit", "holds 33 characters; at most 32 are allowed"),
        (replace(KIND, description="d" * 501), "description", "holds 501 characters"),
        (
            replace(KIND, categories=tuple(f"w{number}" for number in range(101))),
            "categories",
            "holds 101; at most 100 are allowed",
        ),
    ],
)
def test_bounds_words_and_defaults(info: ParameterInfo, field: str, message: str) -> None:
    """One rule each, told at its own field."""
    (problem,) = told(replace(DEFINITION, parameters=(info,)))
    assert problem[0] == f"parameters[0].{field}"
    assert problem[1].startswith(message)


def test_counts_and_lengths() -> None:
    """Lists beyond their limits are not gone through."""
    definition = Definition(
        description="d" * 2_001,
        parameters=(replace(FAST, name="?"),) * 33,
        terms=(("?", "?"),) * 65,
        requirements=("?",) * 17,
    )
    assert told(definition) == [
        ("description", "holds 2,001 characters; at most 2,000 are allowed"),
        ("enter_long", "is required, or enter_short"),
        ("parameters", "holds 33; at most 32 are allowed"),
        ("terms", "holds 65; at most 64 are allowed"),
        ("requirements", "holds 17; at most 16 are allowed"),
    ]


def test_rules_and_texts_are_told_together() -> None:
    """Nobody has to ask twice."""
    definition = replace(
        DEFINITION,
        parameters=(replace(FAST, minimum=None), replace(LEVEL, name="Level")),
        terms=(("one", ""), ("two", "(")),
        enter_long="clse > 1",
    )
    assert [field for field, _ in told(definition)] == [
        "parameters[0].minimum",
        "parameters[1].name",
        "terms[0].expression",
        "terms[1].expression",
        "enter_long",
    ]


def test_entering_short_alone_is_enough() -> None:
    """One of the two is required."""
    assert not told(replace(DEFINITION, enter_long="", enter_short="true"))
    assert told(replace(DEFINITION, enter_long="", exit_long="true"))
