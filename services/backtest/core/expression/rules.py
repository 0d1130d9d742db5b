"""The rules of a definition beside its texts: names, bounds, words, defaults, counts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from services.backtest.core.expression.problems import Problems, quoted
from services.backtest.core.expression.words import LANGUAGE_WORDS, LARGEST_WHOLE, is_name
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.parameters import ParameterInfo, ParameterType, problem_with

if TYPE_CHECKING:
    # At run time strategies import this package, to compile what they define.
    from services.backtest.core.strategies.definition import Definition

_MOST_PARAMETERS: Final = 32
_MOST_TERMS: Final = 64
_MOST_REQUIREMENTS: Final = 16
_MOST_CATEGORIES: Final = 100
_LONGEST_DESCRIPTION: Final = 2_000
_LONGEST_MEANING: Final = 500
_LONGEST_UNIT: Final = 32
_FORM: Final = 'a lower-case letter, then up to 62 lower-case letters, digits and "_"'


def check_rules(
    definition: Definition, indicators: Mapping[str, Operation], problems: Problems
) -> bool:
    """Note everything a definition breaks, its texts apart.

    Returns:
        Whether its lists are short enough to be gone through.
    """
    _length("description", definition.description, _LONGEST_DESCRIPTION, problems)
    if not (definition.enter_long or definition.enter_short):
        problems.note("enter_long", "is required, or enter_short")
    short = [
        _count("parameters", definition.parameters, _MOST_PARAMETERS, problems),
        _count("terms", definition.terms, _MOST_TERMS, problems),
        _count("requirements", definition.requirements, _MOST_REQUIREMENTS, problems),
    ]
    if not all(short):
        return False
    taken = dict.fromkeys(LANGUAGE_WORDS, "a word of the language")
    taken |= dict.fromkeys(indicators, "a function")
    for number, info in enumerate(definition.parameters):
        _name(f"parameters[{number}].name", info.name, taken, problems)
        taken.setdefault(info.name, f"the name of parameters[{number}]")
        _parameter(f"parameters[{number}]", info, problems)
    for number, (name, _) in enumerate(definition.terms):
        _name(f"terms[{number}].name", name, taken, problems)
        taken.setdefault(name, f"the name of terms[{number}]")
    return True


def _count(field: str, given: Collection[object], most: int, problems: Problems) -> bool:
    if len(given) > most:
        problems.note(field, f"holds {len(given):,}; at most {most} are allowed")
    return len(given) <= most


def _length(field: str, text: str, longest: int, problems: Problems) -> None:
    if len(text) > longest:
        problems.note(field, f"holds {len(text):,} characters; at most {longest:,} are allowed")


def _name(field: str, name: str, taken: Mapping[str, str], problems: Problems) -> None:
    if not name:
        problems.note(field, "is required")
    elif not is_name(name):
        problems.note(field, f"{quoted(name)} is no name; expected {_FORM}")
    elif name in taken:
        problems.note(field, f"{quoted(name)} is {taken[name]}; expected a name of its own")


def _parameter(field: str, info: ParameterInfo, problems: Problems) -> None:
    _length(f"{field}.unit", info.unit, _LONGEST_UNIT, problems)
    _length(f"{field}.description", info.description, _LONGEST_MEANING, problems)
    before = len(problems.found)
    if info.type is ParameterType.CATEGORY:
        _words(field, info, problems)
    else:
        _bounds(field, info, problems)
    if info.default is not None and len(problems.found) == before:
        told = problem_with(info, info.default)
        if told:
            problems.note(f"{field}.default_value", told)


def _words(field: str, info: ParameterInfo, problems: Problems) -> None:
    for name, bound in (("minimum", info.minimum), ("maximum", info.maximum)):
        if bound is not None:
            problems.note(f"{field}.{name}", "is for numbers only; words have no bounds")
    if not info.categories:
        problems.note(f"{field}.categories", "is required for words")
    if not _count(f"{field}.categories", info.categories, _MOST_CATEGORIES, problems):
        return
    for number, word in enumerate(info.categories):
        place = f"{field}.categories[{number}]"
        if not is_name(word):
            problems.note(place, f"{quoted(word)} is no word; expected {_FORM}")
        elif word in info.categories[:number]:
            problems.note(place, f"{quoted(word)} is given twice")


def _bounds(field: str, info: ParameterInfo, problems: Problems) -> None:
    if info.categories:
        problems.note(f"{field}.categories", "is for words only; numbers have bounds")
    sound = [
        _bound(f"{field}.minimum", info.minimum, info, problems),
        _bound(f"{field}.maximum", info.maximum, info, problems),
    ]
    low, high = info.minimum, info.maximum
    if all(sound) and low is not None and high is not None and low > high:
        problems.note(f"{field}.maximum", f"must be at least minimum, {low:.15g}, not {high:.15g}")


def _bound(field: str, bound: float | None, info: ParameterInfo, problems: Problems) -> bool:
    told = None
    if bound is None:
        told = "is required for numbers"
    elif not math.isfinite(bound):
        told = f"must be finite, not {bound!r}"
    elif info.type is ParameterType.INT:
        if bound != math.floor(bound):
            told = f"must be a whole number, not {bound!r}"
        elif abs(bound) > LARGEST_WHOLE:
            told = f"must be within +-2^53, not {bound!r}"
    if told:
        problems.note(field, told)
    return told is None
