"""What parameters alone decide, worked out as float64 does."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.expression.program import Kind, Program
from services.backtest.core.expression.resolution import resolve
from services.backtest.core.expression.statics import (
    WholeTooLarge,
    evaluate_static,
    problem_with_static,
    static_parameters,
)
from services.backtest.core.parameters import Value
from tests.unit.backtest.expression.vocabulary import (
    DEFINITION,
    LEVEL,
    PERIOD,
    number_program,
    program,
    program_of,
    shown,
)

VALUES: dict[str, Value] = {"fast": 5, "slow": 9, "level": 0.5, "kind": "quick"}


def evaluated(text: str, **values: Value) -> object:
    """Evaluate a number."""
    compiled, place = number_program(text)
    return evaluate_static(compiled, place, VALUES | values)


def condition(text: str, **values: Value) -> object:
    """Evaluate a condition."""
    compiled = program(text)
    return evaluate_static(compiled, compiled.signals["enter_long"], VALUES | values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("fast", 5),
        ("level", 0.5),
        ("fast * slow - 3", 42),
        ("-fast", -5),
        ("abs(fast - slow)", 4),
        ("min(fast, slow, 3)", 3),
        ("max(fast, slow, 3)", 9),
        ("max(fast, slow, 9.5)", 9.5),
        ("fast / 2", 2.5),
        ("slow / 3", 3.0),
        ("sqrt(slow)", 3.0),
        ("fast + 0.5", 5.5),
        ("0.1 + 0.2", 0.1 + 0.2),
        ("if_else(fast < slow, fast, slow)", 5),
        ("if_else(fast > slow, 1, 2.5)", 2.5),
        ("if_else(fast < slow, 1, 2.5)", 1.0),
        ("choose(kind, plain = fast, quick = slow)", 9),
        ("choose(kind, plain = 1.5, quick = slow)", 9.0),
    ],
)
def test_values_of_numbers(text: str, value: float) -> None:
    """Whole numbers come as int, numbers as float."""
    found = evaluated(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0",
        "-1 / 0",
        "1 / -(0 * 1.0)",
        "0 / 0",
        "1e308 * 10",
        "1e308 * 10 - 1e308 * 10",
        "sqrt(-1)",
        "sqrt(1 / 0)",
        "min(0 / 0, 1)",
        "max(1, 0 / 0)",
        "1 / (0 / 0)",
        "1 / (1 / 0)",
        "min(1, 1 / 0)",
    ],
)
def test_no_arithmetic_raises(text: str) -> None:
    """What is not finite is undefined, as bar by bar."""
    found = evaluated(text)
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("fast < slow", True),
        ("fast <= 5", True),
        ("fast > slow", False),
        ("fast >= 5", True),
        ("fast == 5.0", True),
        ("fast != 5", False),
        ("fast != slow", True),
        ("0 / 0 == 0 / 0", False),
        ("0 / 0 != 1", False),
        ("not (0 / 0 < 1)", True),
        ("fast < slow and level > 1 or true", True),
        ("not fast < slow", False),
        ("if_else(fast < slow, false, true)", False),
        ("choose(kind, plain = true, quick = fast > 5)", False),
    ],
)
def test_values_of_conditions(text: str, truth: bool) -> None:
    """Undefined values compare false, "!=" included."""
    assert condition(text) is truth


@settings(max_examples=200, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([("/", np.divide), ("*", np.multiply), ("+", np.add), ("-", np.subtract)]),
)
def test_arithmetic_is_numpys(one: float, other: float, pair: tuple[str, np.ufunc]) -> None:
    """Bit for bit, signs of zero included; what is not finite is NaN."""
    sign, reference = pair
    wide = replace(LEVEL, minimum=-sys.float_info.max, maximum=sys.float_info.max)
    definition = replace(
        DEFINITION,
        parameters=(replace(wide, name="one"), replace(wide, name="other")),
        stop_loss=f"one {sign} other",
    )
    sums = program_of(definition)
    found = evaluate_static(sums, sums.distances["stop_loss"], {"one": one, "other": other})
    with np.errstate(all="ignore"):
        wanted = reference(np.float64(one), np.float64(other))
    if math.isfinite(wanted):
        assert np.float64(found).tobytes() == wanted.tobytes()
    else:
        assert isinstance(found, float)
        assert math.isnan(found)


def test_whole_numbers_stay_where_float64_knows_them_all() -> None:
    """2^53 is the last; the error tells where the operation stands."""
    assert evaluated("fast * slow", fast=2**27, slow=2**26) == 2**53
    with pytest.raises(WholeTooLarge) as raised:
        evaluated("1 + fast * slow", fast=2**27, slow=2**26)
    assert (raised.value.field, raised.value.position) == ("stop_loss", 0)
    assert evaluated("1.0 + fast * slow", fast=2**27, slow=2**26) == 2.0**53


def test_branches_not_taken_are_not_evaluated() -> None:
    """A whole number too large there harms nobody."""
    large = "9007199254740992 + fast"
    assert evaluated(f"if_else(fast > 0, 1, {large})") == 1
    assert evaluated(f"choose(kind, plain = {large}, quick = 2)") == 2


def test_terms_that_double_are_evaluated_once_each() -> None:
    """2^40 sums in 40 steps."""
    terms = [("t0", "fast * 1.0"), *((f"t{n}", f"t{n - 1} + t{n - 1}") for n in range(1, 41))]
    compiled, place = number_program("t40", *terms)
    assert evaluate_static(compiled, place, VALUES) == 5 * 2.0**40


def test_what_differs_from_bar_to_bar_has_no_value() -> None:
    """To ask is a defect of the caller."""
    compiled, place = number_program("close + 1")
    with pytest.raises(ValueError, match="differs from bar to bar"):
        evaluate_static(compiled, place, VALUES)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 + 2", set()),
        ("fast + slow", {"fast", "slow"}),
        ("sma(close, fast * 2) + level", {"fast", "level"}),
        ("choose(kind, plain = 1, quick = 2)", {"kind"}),
        ("sma(choose(kind, plain = open, quick = close), slow)", {"kind", "slow"}),
        ('on("4h", if_else(close > level, 1, 2))', {"level"}),
    ],
)
def test_parameters_a_node_depends_on(text: str, names: set[str]) -> None:
    """Through inputs, periods and choices."""
    assert static_parameters(*number_program(text)) == names


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1, None),
        (100, None),
        (0, "period must be at least 1 and at most 100, not 0"),
        (450, "period must be at least 1 and at most 100, not 450"),
        (math.inf, "period must be at least 1 and at most 100, not inf"),
        (math.nan, "period must be at least 1 and at most 100, not nan"),
    ],
)
def test_periods_out_of_range_are_told(value: float, told: str | None) -> None:
    """Bounds belong to the range; what is not finite is out of it."""
    assert problem_with_static(PERIOD, value) == told


def resolved(text: str, word: str) -> Program:
    """Compile a condition and take its choices."""
    return resolve(program(text), {"kind": word})


def test_a_resolved_program_has_no_choices_and_nothing_unneeded() -> None:
    """Only the taken branches stay."""
    text = "choose(kind, plain = sma(close, fast), quick = ema(open, slow)) > level"
    plain, quick = resolved(text, "plain"), resolved(text, "quick")
    assert shown(plain, plain.signals["enter_long"]) == "greater(sma(close; fast), level)"
    assert shown(quick, quick.signals["enter_long"]) == "greater(ema(open; slow), level)"
    assert len(plain.nodes) == len(quick.nodes) == 5


def test_choices_within_choices_and_periods_are_taken() -> None:
    """Also where a choice is a whole signal."""
    inner = "choose(kind, plain = fast, quick = slow)"
    text = f"choose(kind, plain = true, quick = sma(close, {inner}) > {inner})"
    quick, plain = resolved(text, "quick"), resolved(text, "plain")
    assert shown(quick, quick.signals["enter_long"]) == "greater(sma(close; slow), slow)"
    assert [one.value for one in plain.nodes] == [True]


def test_what_becomes_equal_becomes_one() -> None:
    """Two texts that differ by a choice only."""
    compiled = resolved("close > choose(kind, plain = 1, quick = 2) or close > 2", "quick")
    assert [one.operation for one in compiled.nodes] == ["column", "constant", "greater", "or"]
    assert compiled.nodes[3].inputs == (2, 2)


def test_what_becomes_static_is_told_static() -> None:
    """A choice of a number in place of a column stops changing from bar to bar."""
    text = "choose(kind, plain = 1, quick = close) + 2 > 0"
    for word, static in (("plain", True), ("quick", False)):
        compiled = resolved(text, word)
        assert compiled.nodes[compiled.signals["enter_long"]].static is static


def test_resolving_changes_no_value() -> None:
    """A number stays a number where the branch taken is whole: -0 included."""
    text = "-(choose(kind, plain = 0, quick = 0.5) * fast)"
    compiled, place = number_program(text)
    values = VALUES | {"kind": "plain"}
    other = resolve(compiled, {"kind": "plain"})
    for found in (
        evaluate_static(compiled, place, values),
        evaluate_static(other, other.distances["stop_loss"], values),
    ):
        assert np.float64(found).tobytes() == np.float64(-0.0).tobytes()
    assert other.nodes[other.distances["stop_loss"]].kind is Kind.NUMBER


def test_requirements_and_distances_are_resolved_too() -> None:
    """Every root moves with its node."""
    compiled = program_of(
        replace(
            DEFINITION,
            stop_loss="choose(kind, plain = level, quick = 0.1)",
            requirements=("choose(kind, plain = fast < slow, quick = true)",),
        )
    )
    plain = resolve(compiled, {"kind": "plain"})
    assert shown(plain, plain.distances["stop_loss"]) == "level"
    assert shown(plain, plain.requirements[0].place) == "less(fast, slow)"
    assert plain.requirements[0].text == compiled.requirements[0].text
