"""What can be wrong with searches, pruning, limits and points tried first."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.core.spec.draft import (
    ParameterDraft,
    PruningKind,
    PruningRule,
    SearchKind,
    SearchOptions,
    StudyDraft,
)
from services.optimizer.core.spec.draft_checks import draft_violations
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.point_checks import GivenPoint, is_inside, point_violations
from services.optimizer.core.spec.pruning_rungs import rung_bar_counts
from services.optimizer.core.spec.space import Categories, DoubleRange, Fixed, IntRange
from services.optimizer.core.study.limits import Limits
from tests.unit.optimizer.plans import DRAWDOWN, METRICS, SHARPE

DRAFT = StudyDraft(
    parameters=(
        ParameterDraft("fast", IntRange(5, 50, 5)),
        ParameterDraft("width", DoubleRange(0.1, 0.5, 0.1)),
        ParameterDraft("average", Categories(("sma", "ema"))),
        ParameterDraft("fixed", Fixed(1.0)),
    ),
    constraints=(),
    objectives=(SHARPE,),
    search=SearchKind.BAYESIAN,
    limits=Limits(100),
    options=SearchOptions(),
    seed=1,
    generation_size=8,
)
MEDIAN = PruningRule(PruningKind.MEDIAN)
PERCENTILE = PruningRule(PruningKind.PERCENTILE)
HALVING = PruningRule(PruningKind.SUCCESSIVE_HALVING)
TWO: tuple[Objective, ...] = (SHARPE, DRAWDOWN)
CMA_ES = {"search": SearchKind.CMA_ES, "generation_size": 50}
NSGA = {"search": SearchKind.EVOLUTIONARY, "generation_size": 50}
POINT: dict[str, int | float | str | None] = {"fast": 5, "width": 0.1, "average": "sma"}


def told(**changes: Any) -> dict[str, str]:
    """Return what is wrong with the draft and its changes, by field."""
    found = draft_violations(replace(DRAFT, **changes), sorted(METRICS), None, 10_000)
    by_field = {one.field: one.description for one in found}
    assert len(by_field) == len(found)
    return by_field


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"options": SearchOptions(startup_trial_count=0)}, "bayesian.startup_trial_count", "1 to"),
        ({"options": SearchOptions(history_window=9)}, "bayesian.history_window", "10 to 100,000"),
        (
            {**CMA_ES, "options": SearchOptions(initial_sigma_ratio=0.0)},
            "cma_es.initial_sigma_ratio",
            "above 0",
        ),
        (
            {**CMA_ES, "options": SearchOptions(initial_sigma_ratio=math.nan)},
            "cma_es.initial_sigma_ratio",
            "nan",
        ),
        ({**CMA_ES, "objectives": TWO}, "cma_es", "one objective"),
        ({**CMA_ES, "generation_size": 8}, "generation_size", "the population, 50"),
        ({**NSGA, "generation_size": 49}, "generation_size", "the population, 50"),
        (
            {**NSGA, "options": SearchOptions(population_size=3), "generation_size": 3},
            "evolutionary.population_size",
            "4 to 1,024",
        ),
        (
            {**NSGA, "options": SearchOptions(population_size=2000), "generation_size": 2000},
            "evolutionary.population_size",
            "4 to 1,024",
        ),
        ({"pruning": replace(MEDIAN, segment_count=2)}, "pruning.median.segment_count", "3 to 64"),
        (
            {"pruning": replace(PERCENTILE, segment_count=65)},
            "pruning.percentile.segment_count",
            "3 to 64",
        ),
        (
            {"pruning": replace(PERCENTILE, kept_percent=100.0)},
            "pruning.percentile.kept_percent",
            "below 100",
        ),
        (
            {"pruning": replace(PERCENTILE, kept_percent=math.nan)},
            "pruning.percentile.kept_percent",
            "nan",
        ),
        (
            {"pruning": replace(HALVING, reduction_factor=11)},
            "pruning.successive_halving.reduction_factor",
            "2 to 10",
        ),
        (
            {"pruning": replace(HALVING, rung_count=0)},
            "pruning.successive_halving.rung_count",
            "1 to 8",
        ),
        (
            {"pruning": replace(MEDIAN, startup_trial_count=0)},
            "pruning.startup_trial_count",
            "1 to 10,000",
        ),
        (
            {"pruning": replace(MEDIAN, rung_bar_counts=(5, 5))},
            "pruning.rung_bar_counts",
            "rise",
        ),
        (
            {"pruning": replace(MEDIAN, rung_bar_counts=(1, 5))},
            "pruning.rung_bar_counts",
            "at least 2",
        ),
        (
            {"pruning": replace(MEDIAN, rung_bar_counts=tuple(range(2, 20)))},
            "pruning.rung_bar_counts",
            "at most 16",
        ),
        ({"pruning": MEDIAN, "objectives": TWO}, "pruning", "one objective"),
        ({"limits": Limits(9, max_duration_ms=0)}, "stop_rule.max_duration", "above 0"),
        (
            {"limits": Limits(9, max_duration_ms=366 * 86_400_000 + 1)},
            "stop_rule.max_duration",
            "366 days",
        ),
        ({"limits": Limits(9, patience_trial_count=0)}, "stop_rule.patience_trial_count", "1 to"),
        ({"limits": Limits(9, target_value=math.inf)}, "stop_rule.target_value", "finite"),
        (
            {"limits": Limits(9, target_value=1.0), "objectives": TWO},
            "stop_rule.target_value",
            "one objective",
        ),
        ({"trial_timeout_ms": 999}, "trial_timeout", "0.999 s"),
        ({"trial_timeout_ms": 3_600_001}, "trial_timeout", "1 hour"),
        ({"starting_points": (POINT,) * 101}, "starting_points", "only 100 trials"),
        (
            {"starting_points": (POINT,) * 1001, "limits": Limits(5000)},
            "starting_points",
            "at most 1,000",
        ),
        (
            {"starting_points": (POINT,), "search": SearchKind.GRID, "limits": Limits(0)},
            "starting_points",
            "every point anyway",
        ),
        (
            {"starting_points": (POINT,), "search": SearchKind.BRUTE_FORCE, "limits": Limits(9)},
            "starting_points",
            "every point anyway",
        ),
    ],
)
def test_a_bad_choice_is_told_at_its_field(changes: dict[str, Any], field: str, words: str) -> None:
    """Alone, because everything else is right."""
    found = told(**changes)

    assert list(found) == [f"spec.{field}"]
    assert words in found[f"spec.{field}"]


def test_good_choices_are_not_told() -> None:
    """At the ends of what the contract allows."""
    for changes in (
        {"pruning": MEDIAN},
        {"pruning": replace(PERCENTILE, kept_percent=0.1, segment_count=64)},
        {"pruning": replace(HALVING, reduction_factor=10, rung_count=8)},
        {"pruning": replace(MEDIAN, rung_bar_counts=tuple(range(2, 18)))},
        {"limits": Limits(9, 366 * 86_400_000, 1_000_000, -0.5)},
        {"limits": Limits(9, 1, 1)},
        {"trial_timeout_ms": 1_000},
        {"trial_timeout_ms": 3_600_000},
        {"starting_points": (POINT,) * 100},
        {**NSGA, "objectives": (*TWO, Objective("trade_count", maximize=True))},
        {"options": SearchOptions(history_window=10, startup_trial_count=10_000)},
    ):
        assert told(**changes) == {}


def points_told(*points: GivenPoint, draft: StudyDraft = DRAFT) -> dict[str, str]:
    """Return what is wrong with starting points, by field behind the first point."""
    found = {one.field: one.description for one in point_violations(draft, points)}
    return {field.removeprefix("spec.starting_points"): text for field, text in found.items()}


def test_a_point_gives_every_searched_parameter_once_inside_its_domain() -> None:
    """And everything else about it is told at its place."""
    good = list(POINT.items())

    assert points_told(good, good[::-1]) == {}
    assert points_told(good[:1]) == {"[0].parameters": "has no value of 'width', 'average'"}
    assert points_told([*good, ("fast", 5)]).keys() == {
        "[0].parameters[0].name",
        "[0].parameters[3].name",
    }
    assert points_told(good, [*good, ("fixed", 1.0), ("fsat", 5)]) == {
        "[1].parameters[3].name": "'fixed' is fixed",
        "[1].parameters[4].name": "'fsat' is no parameter of this spec",
    }
    assert points_told([("fast", 7), ("width", 0.15), ("average", "wma")]) == {
        "[0].parameters[0].value": "must be 5 to 50 in steps of 5, but is 7",
        "[0].parameters[1].value": "must be 0.1 to 0.5 in steps of 0.1, but is 0.15",
        "[0].parameters[2].value": "'wma' is none of sma, ema",
    }
    assert points_told([("fast", 5.0), ("width", 1), ("average", None)]) == {
        "[0].parameters[0].value": "must be a whole number, as int_value",
        "[0].parameters[1].value": "must be a number, as double_value",
        "[0].parameters[2].value": "is required",
    }


def test_points_are_not_measured_against_unsound_domains() -> None:
    """What is wrong with the domain is told there."""
    draft = replace(DRAFT, parameters=(ParameterDraft("fast", IntRange(50, 5)),))

    assert points_told([("fast", 7)], draft=draft) == {}
    assert points_told([("x", 7)], draft=replace(DRAFT, search=SearchKind.GRID)) == {}


@given(index=st.integers(0, 400), low=st.integers(-50, 50), digits=st.integers(0, 6))
def test_every_value_of_a_lattice_is_inside(index: int, low: int, digits: int) -> None:
    """Also where binary fractions make its decimals inexact."""
    step = 3 * 10.0**-digits
    start = low * 10.0**-digits
    domain = DoubleRange(start, start + 2000 * step, step)
    value = domain.value_at(index)

    assert is_inside(value, domain)
    assert not is_inside(float(value) + step / 3, domain)


@pytest.mark.parametrize("value", [math.nan, math.inf, "x", 4.9, True])
def test_what_is_no_value_of_a_domain_is_outside(value: Any) -> None:
    """Whatever it is."""
    assert not is_inside(value, DoubleRange(5.0, 6.0))
    assert not is_inside(5.5, IntRange(5, 6))


def test_rungs_are_ends_of_segments_or_powers_of_a_factor() -> None:
    """In bars from the first one; given ones stay."""
    assert rung_bar_counts(MEDIAN, 1000) == (125, 250)
    assert rung_bar_counts(replace(PERCENTILE, segment_count=3), 1000) == (333,)
    assert rung_bar_counts(replace(PERCENTILE, segment_count=16), 1000) == (62, 125, 250)
    assert rung_bar_counts(HALVING, 1000) == (62, 250)
    assert rung_bar_counts(replace(HALVING, reduction_factor=10, rung_count=8), 5000) == (
        *(5, 50),
        500,
    )
    assert rung_bar_counts(replace(MEDIAN, rung_bar_counts=(7, 9)), 1000) == (7, 9)


@given(
    bars=st.integers(0, 300),
    segments=st.integers(3, 64),
    factor=st.integers(2, 10),
    count=st.integers(1, 8),
)
def test_rungs_rise_inside_the_window(bars: int, segments: int, factor: int, count: int) -> None:
    """However short it is."""
    for rule in (
        replace(MEDIAN, segment_count=segments),
        replace(HALVING, reduction_factor=factor, rung_count=count),
    ):
        rungs = rung_bar_counts(rule, bars)
        assert list(rungs) == sorted(set(rungs))
        assert all(2 <= rung < bars for rung in rungs)
