"""The points around the best one, and what their objectives come to."""

from __future__ import annotations

import math

import pytest

from services.optimizer.core.analysis.luck.neighborhood import neighbors, summary
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


def space_of(**domains: object) -> Space:
    """Return a space of named domains."""
    return Space(tuple(Parameter(name, domain) for name, domain in domains.items()))  # type: ignore[arg-type]


def test_one_or_two_numbers_move_by_a_step() -> None:
    """Words and fixed values stay; each point comes once."""
    space = space_of(
        a=IntRange(0, 100, 5), word=Categories(("x", "y")), b=DoubleRange(0.0, 1.0, 0.1), c=Fixed(3)
    )
    best: dict[str, Value] = {"a": 50, "word": "y", "b": 0.3, "c": 3}
    found = neighbors(make_plan(space), best)
    singles = [(45, 0.3), (55, 0.3), (50, 0.2), (50, 0.4)]
    pairs = [(45, 0.2), (45, 0.4), (55, 0.2), (55, 0.4)]
    assert [(point["a"], point["b"]) for point in found] == singles + pairs
    assert all(point["word"] == "y" and point["c"] == 3 for point in found)
    assert all(list(point) == ["a", "word", "b", "c"] for point in found)
    assert all(isinstance(point["a"], int) for point in found)


def test_ranges_and_constraints_bound_the_neighbourhood() -> None:
    """Beyond an end there is nothing; what a constraint forbids is left out."""
    space = space_of(fast_period=IntRange(2, 9), slow_period=IntRange(3, 9))
    plan = make_plan(space, constraints=["fast_period < slow_period"])
    found = [
        tuple(point.values()) for point in neighbors(plan, {"fast_period": 2, "slow_period": 3})
    ]
    assert found == [(2, 4), (3, 4)]


def test_numbers_without_steps_move_by_a_part_of_their_range() -> None:
    """Of its logarithm where that is searched."""
    space = space_of(x=DoubleRange(0.0, 2.0), y=DoubleRange(1.0, 10_000.0, log=True))
    found = neighbors(make_plan(space), {"x": 1.0, "y": 100.0})
    assert [point["x"] for point in found[:2]] == pytest.approx([0.95, 1.05])
    ratio = math.exp(0.025 * math.log(10_000.0))
    assert [point["y"] for point in found[2:4]] == pytest.approx([100.0 / ratio, 100.0 * ratio])


def test_the_summary_is_of_those_with_an_objective() -> None:
    """Shares are of the best; the worst is the smallest where larger is better."""
    near = summary([1.0, None, 3.0, 2.0], 4.0, maximize=True)
    assert (near.neighbor_count, near.defined_count) == (4, 3)
    assert (near.worst, near.median, near.mean) == (1.0, 2.0, 2.0)
    assert (near.kept(near.worst), near.kept(near.median)) == (0.25, 0.5)
    assert not near.weak
    assert summary([1.9], 4.0, maximize=True).weak


def test_shares_of_what_is_minimised_are_the_other_way_round() -> None:
    """A drawdown twice as deep keeps half."""
    near = summary([0.2, 0.3, 0.4], 0.1, maximize=False)
    assert (near.worst, near.kept(near.worst)) == (0.4, 0.25)
    assert near.weak


def test_no_share_is_said_of_what_is_not_above_zero() -> None:
    """Nor of nothing; most neighbours without an objective are weak all the same."""
    assert summary([-2.0], -1.0, maximize=True).kept(-2.0) is None
    assert summary([0.0], 0.1, maximize=False).kept(0.0) is None
    nothing = summary([None, None], 1.0, maximize=True)
    assert (nothing.worst, nothing.median, nothing.mean) == (None, None, None)
    assert nothing.weak
    assert not summary([], 1.0, maximize=True).weak
