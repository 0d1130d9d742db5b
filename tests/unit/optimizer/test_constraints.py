"""What constraints speak of and how far points are from fulfilling them."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.spec.constraints import Constraints, read_constraints
from services.optimizer.core.spec.space import exact

NUMBERS = frozenset({"fast_period", "slow_period", "width"})
WORDS = frozenset({"average"})
METRICS = frozenset({"trade_count", "sharpe_ratio", "width"})


def read(*texts: str) -> Constraints:
    """Read constraints that are right."""
    found, violations = read_constraints(texts, NUMBERS, WORDS, METRICS)
    assert violations == []
    return found


def test_a_constraint_on_parameters_alone_is_a_filter() -> None:
    """Any metric in it makes it a judgement of trials instead; parameters win over metrics."""
    found = read("fast_period < slow_period", "trade_count >= fast_period", "width > 1")

    assert [one.text for one in found.on_parameters] == ["fast_period < slow_period", "width > 1"]
    assert [one.text for one in found.on_metrics] == ["trade_count >= fast_period"]


def test_every_wrong_name_is_told_with_the_nearest() -> None:
    """All constraints are read, whatever is wrong with the first."""
    _, violations = read_constraints(
        ["fast_perod < 1", "1 < 2", "average == 1", "((", "trade_cuont > 0"],
        NUMBERS,
        WORDS,
        METRICS,
    )

    assert [(one.field, one.description) for one in violations] == [
        (
            "spec.constraints[0]",
            (
                "character 1: 'fast_perod' is neither a parameter of this spec nor a metric; "
                "did you mean 'fast_period'?"
            ),
        ),
        ("spec.constraints[1]", "names neither a parameter nor a metric"),
        (
            "spec.constraints[2]",
            "character 1: 'average' is a word; only numbers can be compared",
        ),
        (
            "spec.constraints[3]",
            "character 3: expected a number, a name or '(', but found the text ends",
        ),
        (
            "spec.constraints[4]",
            (
                "character 1: 'trade_cuont' is neither a parameter of this spec nor a metric; "
                "did you mean 'trade_count'?"
            ),
        ),
    ]


@given(
    left=st.floats(-1e6, 1e6),
    right=st.floats(-1e6, 1e6),
    comparison=st.sampled_from(["<", "<=", ">", ">=", "=="]),
)
def test_a_value_is_at_most_zero_exactly_where_the_constraint_holds(
    left: float, right: float, comparison: str
) -> None:
    """The sign of the value is the comparison itself, on whichever side rounding falls."""
    (condition,) = read(f"fast_period {comparison} slow_period").on_parameters
    values = {"fast_period": exact(left), "slow_period": exact(right)}
    wanted = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
    }[comparison]
    value = condition.value(values)

    assert condition.holds(values) == wanted
    assert value is not None
    assert (value <= 0) == wanted


def test_the_value_is_the_distance() -> None:
    """Positive by how much is missing, negative by how much there is to spare."""
    constraints = read("trade_count >= 30", "sharpe_ratio == 1.5", "trade_count < 20")

    assert constraints.values({}, {"trade_count": 20.0, "sharpe_ratio": 1.0}) == (
        10.0,
        0.5,
        sys.float_info.min,
    )


def test_decimals_are_compared_as_written() -> None:
    """0.1 + 0.2 == 0.3, though binary floats say otherwise."""
    assert (
        read("fast_period + slow_period == 0.3")
        .on_parameters[0]
        .holds({"fast_period": exact(0.1), "slow_period": exact(0.2)})
    )


def test_an_undefined_metric_leaves_the_judgement_undefined() -> None:
    """Also a division by zero; neither counts as fulfilled."""
    assert read("trade_count >= 30", "sharpe_ratio > 0").values({}, {"trade_count": 50.0}) is None
    assert read("1 / trade_count < 1").values({}, {"trade_count": 0.0}) is None
    (condition,) = read("1 / fast_period < 1").on_parameters
    assert not condition.holds({"fast_period": 0})


def test_numbers_beyond_a_double_stay_finite() -> None:
    """A value is stored as a double and must not become infinite."""
    value = read("fast_period * 1e99 * 1e99 * 1e99 * 1e99 < trade_count").values(
        {"fast_period": 5}, {"trade_count": 1.0}
    )

    assert value == (sys.float_info.max,)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_undefined(number: float) -> None:
    """Should a worker ever send one, nothing is feasible by accident."""
    assert read("sharpe_ratio > 0").values({}, {"sharpe_ratio": number}) is None
