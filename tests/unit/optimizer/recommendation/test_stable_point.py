"""The middle of the windows' winners."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.analysis.recommendation.stable_point import middle, stable_point
from services.optimizer.core.spec.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.trial import Value
from tests.unit.optimizer.in_memory import make_plan

SPACE = Space(
    (
        Parameter("fast_period", IntRange(5, 50, 5)),
        Parameter("width", DoubleRange(0.0, 1.0, 0.1)),
        Parameter("slow_period", IntRange(5, 50, 5)),
        Parameter("word", Categories(("x", "y", "z"))),
        Parameter("fixed", Fixed(3)),
    )
)


def test_the_middle_is_a_value_some_window_has_chosen() -> None:
    """The lower median of numbers, types kept; the most frequent word, the latest of equals."""
    assert middle([10, 40, 20]) == 20
    assert middle([10, 40, 20, 30]) == 20
    assert isinstance(middle([10, 40]), int)
    assert middle([0.3, 0.1]) == 0.1
    assert middle(["x", "y", "y", "z"]) == "y"
    assert middle(["x", "y", "y", "x"]) == "x"
    assert middle(["y", "x", "x", "y", "z"]) == "y"


def test_the_point_is_whole_and_in_order() -> None:
    """Fixed parameters keep their value and their place."""
    paths: dict[str, Sequence[Value]] = {
        "fast_period": [5, 10, 30],
        "slow_period": [50, 40, 20],
        "width": [0.1, 0.1, 0.7],
        "word": ["x", "x", "y"],
    }
    found = stable_point(make_plan(SPACE), paths)
    assert found is not None
    assert list(found.items()) == [
        ("fast_period", 10),
        ("width", 0.1),
        ("slow_period", 40),
        ("word", "x"),
        ("fixed", 3),
    ]


def test_a_middle_that_no_constraint_allows_is_none() -> None:
    """Each window's winner is allowed, the middle of them is not."""
    plan = make_plan(SPACE, constraints=["fast_period < slow_period"])
    paths: dict[str, Sequence[Value]] = {
        "fast_period": [5, 20, 45],
        "slow_period": [10, 15, 50],
        "width": [0.1] * 3,
        "word": ["x"] * 3,
    }
    assert stable_point(plan, paths) is None
