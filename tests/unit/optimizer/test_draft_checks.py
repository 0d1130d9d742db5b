"""Everything wrong with a study, found at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from services.optimizer.core.spec.draft import (
    ParameterDraft,
    ParameterRule,
    SearchKind,
    SearchOptions,
    StudyDraft,
)
from services.optimizer.core.spec.draft_checks import draft_violations
from services.optimizer.core.spec.expression import Expression
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import Categories, Domain, DoubleRange, Fixed, IntRange
from services.optimizer.core.study.limits import Limits
from tests.unit.optimizer.in_memory import METRICS

RULES = {
    rule.name: rule
    for rule in (
        ParameterRule("fast_period", "int", 1, 1000, required=True),
        ParameterRule("slow_period", "int", 1, 1000),
        ParameterRule("width", "double", 0.1, 10.0),
        ParameterRule("average", "category", categories=("sma", "ema")),
        ParameterRule("stop_loss_ratio", "double", math.ulp(0.0), math.nextafter(1.0, 0.0)),
    )
}
FAST = ParameterDraft("fast_period", IntRange(5, 50, 5))
DRAFT = StudyDraft(
    parameters=(FAST,),
    constraints=(),
    objectives=(Objective("sharpe_ratio", maximize=True),),
    search=SearchKind.RANDOM,
    limits=Limits(100),
    options=SearchOptions(),
    seed=1,
    generation_size=8,
)


def composite(name: str, text: str) -> Objective:
    """Return an objective that is an expression."""
    return Objective(name, maximize=True, expression=Expression(text))


def told(draft: StudyDraft, rules: dict[str, ParameterRule] | None = RULES) -> dict[str, str]:
    """Return what is wrong with a draft, by field."""
    found = draft_violations(draft, sorted(METRICS), rules, 10_000)
    by_field = {one.field: one.description for one in found}
    assert len(by_field) == len(found)
    return by_field


def of_domain(domain: Domain | None, name: str = "fast_period", **changes: Any) -> dict[str, str]:
    """Return what is wrong with a domain."""
    parameters: tuple[ParameterDraft, ...] = (ParameterDraft(name, domain),)
    if name != "fast_period":
        parameters += (FAST,)
    return told(replace(DRAFT, parameters=parameters, **changes))


def test_a_good_draft_has_nothing_wrong() -> None:
    """For each search."""
    assert told(DRAFT) == {}
    for search in set(SearchKind) - {SearchKind.GRID, SearchKind.CMA_ES, SearchKind.EVOLUTIONARY}:
        assert told(replace(DRAFT, search=search)) == {}
    for search in (SearchKind.GRID, SearchKind.BRUTE_FORCE):
        assert told(replace(DRAFT, search=search, limits=Limits(0))) == {}
    for search in (SearchKind.CMA_ES, SearchKind.EVOLUTIONARY):
        assert told(replace(DRAFT, search=search, generation_size=50)) == {}


@pytest.mark.parametrize(
    ("domain", "name", "field", "words"),
    [
        (IntRange(50, 5), "fast_period", "int_range", "inverted: low 50 is above high 5"),
        (IntRange(5, 50, 7), "fast_period", "int_range.step", "ends at 47, not at 50"),
        (IntRange(5, 50, 0), "fast_period", "int_range.step", "at least 1, but is 0"),
        (IntRange(5, 50, 5, log=True), "fast_period", "int_range.step", "together with log"),
        (IntRange(0, 50, log=True), "fast_period", "int_range.low", "at least 1"),
        (IntRange(0, 50), "fast_period", "int_range.low", "must be at least 1"),
        (IntRange(5, 1001), "fast_period", "int_range.high", "must be at most 1000"),
        (IntRange(1, 2**53 + 1), "fast_period", "int_range.high", "2^53"),
        (DoubleRange(1.0, 2.0), "fast_period", "double_range", "takes whole numbers"),
        (Categories(("sma",)), "fast_period", "categories", "takes whole numbers"),
        (Fixed(5.0), "fast_period", "fixed_value", "gives numbers"),
        (Fixed("x"), "fast_period", "fixed_value", "gives words"),
        (DoubleRange(math.nan, 2.0), "width", "double_range.low", "finite"),
        (DoubleRange(1.0, math.inf), "width", "double_range.high", "finite"),
        (DoubleRange(2.0, 1.0), "width", "double_range", "inverted"),
        (DoubleRange(0.5, 1.0, 0.3), "width", "double_range.step", "ends at 0.8, not at 1.0"),
        (DoubleRange(0.5, 1.0, -0.1), "width", "double_range.step", "above 0"),
        (DoubleRange(0.5, 1.0, math.nan), "width", "double_range.step", "finite"),
        (DoubleRange(0.5, 1.0, 0.1, log=True), "width", "double_range.step", "with log"),
        (IntRange(1, 2), "width", "int_range", "takes numbers"),
        (Categories(("sma", "ema", "sma")), "average", "categories.values", "'sma' 2 times"),
        (Categories(()), "average", "categories.values", "has 0"),
        (Categories(("sma", "wma")), "average", "categories.values[1]", "sma, ema"),
        (Fixed("wma"), "average", "fixed_value", "sma, ema"),
        (Fixed(math.nan), "width", "fixed_value.double_value", "finite"),
        (Fixed(0.0), "stop_loss_ratio", "fixed_value", "above 0"),
        (Fixed(1.0), "stop_loss_ratio", "fixed_value", "below 1"),
    ],
)
def test_a_bad_domain_is_told_at_its_field(
    domain: Domain, name: str, field: str, words: str
) -> None:
    """With words that say what would be right."""
    search = SearchKind.RANDOM if not isinstance(domain, Fixed) else SearchKind.GRID
    found = of_domain(domain, name, search=search)
    where = f"spec.parameters[0].{field}"

    assert where in found, found
    assert words in found[where]


def test_log_needs_a_positive_low() -> None:
    """Whatever the strategy allows."""
    rules = {**RULES, "width": ParameterRule("width", "double", -5.0, 5.0)}
    bad = ParameterDraft("width", DoubleRange(-1.0, 1.0, log=True))

    assert (
        "above 0"
        in told(replace(DRAFT, parameters=(FAST, bad)), rules)[
            "spec.parameters[1].double_range.low"
        ]
    )


def test_a_grid_needs_steps_and_no_logarithm() -> None:
    """A range of any number cannot be enumerated."""
    free = of_domain(DoubleRange(1.0, 2.0), "width", search=SearchKind.GRID)
    log = of_domain(IntRange(1, 50, log=True), search=SearchKind.GRID)

    brute = of_domain(DoubleRange(1.0, 2.0), "width", search=SearchKind.BRUTE_FORCE)

    assert free == {"spec.parameters[0].double_range.step": "is required for a grid"}
    assert brute == {"spec.parameters[0].double_range.step": "is required for brute force"}
    assert log == {"spec.parameters[0].int_range.log": "is not for a grid: give a step"}


def test_an_unknown_parameter_is_told_with_the_nearest() -> None:
    """And a required one that is missing is told too."""
    found = told(replace(DRAFT, parameters=(ParameterDraft("fast_perid", IntRange(1, 2)),)))

    assert "did you mean 'fast_period'" in found["spec.parameters[0].name"]
    assert found["spec.parameters"] == "'fast_period' has no default and must be given"


def test_without_rules_parameters_are_judged_by_themselves() -> None:
    """Of an unknown strategy nobody knows the parameters."""
    assert told(DRAFT, None) == {}


def test_counts_and_repetitions() -> None:
    """Of parameters, objectives and constraints."""
    twice = replace(DRAFT, parameters=(FAST, FAST))
    none = replace(DRAFT, objectives=())
    many = replace(
        DRAFT,
        constraints=("fast_period > 1",) * 33,
        objectives=tuple(
            Objective(metric, maximize=True) for metric in [*sorted(METRICS), *sorted(METRICS)]
        ),
    )

    assert set(told(twice)) == {"spec.parameters[0].name", "spec.parameters[1].name"}
    assert told(none)["spec.objectives"] == "needs 1 to 4 objectives, but has 0"
    assert "spec.objectives" in told(many)
    assert "needs 1 to 32 parameters, but has 0" in {
        one.description for one in draft_violations(replace(DRAFT, parameters=()), [], {}, 10)
    }
    assert "more than once" in told(many)["spec.objectives[0].metric"]
    assert "at most 32" in told(many)["spec.constraints"]


def test_a_composite_objective_is_told_twice_like_any_other() -> None:
    """And its name may not be that of another objective."""
    score = composite("score", "sharpe_ratio - 2 * max_drawdown_ratio")

    assert told(replace(DRAFT, objectives=(score,))) == {}
    assert set(told(replace(DRAFT, objectives=(score, score)))) == {
        "spec.objectives[0].metric",
        "spec.objectives[1].metric",
    }


def test_a_parameter_without_domain() -> None:
    """Names what could be given."""
    assert "needs one of" in of_domain(None)["spec.parameters[0]"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"search": None}, "spec.search"),
        ({"limits": Limits(0)}, "spec.random.trial_count"),
        ({"limits": Limits(10_001)}, "spec.random.trial_count"),
        ({"search": SearchKind.BAYESIAN, "limits": Limits(-1)}, "spec.bayesian.trial_count"),
        ({"search": SearchKind.QMC, "limits": Limits(0)}, "spec.qmc.trial_count"),
        ({"seed": -1}, "spec.seed"),
        ({"generation_size": 0}, "spec.generation_size"),
        ({"generation_size": 1025}, "spec.generation_size"),
        ({"parameters": (ParameterDraft("fast_period", Fixed(5)),)}, "spec.parameters"),
        ({"constraints": ("fast_period <",)}, "spec.constraints[0]"),
        ({"objectives": (Objective("sharp_ratio", maximize=True),)}, "spec.objectives[0].metric"),
        ({"objectives": (composite("sharpe_ratio", "trade_count"),)}, "spec.objectives[0].metric"),
        ({"objectives": (composite("My score", "trade_count"),)}, "spec.objectives[0].metric"),
        ({"objectives": (composite("", "trade_count"),)}, "spec.objectives[0].metric"),
        ({"objectives": (composite("score", "1 +"),)}, "spec.objectives[0].expression"),
        ({"objectives": (composite("score", "1 + 2"),)}, "spec.objectives[0].expression"),
        ({"objectives": (composite("score", "a" * 201),)}, "spec.objectives[0].expression"),
        ({"objectives": (composite("score", "trade_coun"),)}, "spec.objectives[0].expression"),
        ({"objectives": (composite("score", "fast_period"),)}, "spec.objectives[0].expression"),
    ],
)
def test_a_bad_choice_is_told_at_its_field(changes: dict[str, Any], field: str) -> None:
    """Alone, because everything else is right."""
    assert list(told(replace(DRAFT, **changes))) == [field]


def test_all_violations_are_told_together() -> None:
    """One answer, everything in it."""
    found = told(
        replace(
            DRAFT,
            parameters=(
                ParameterDraft("fast_period", IntRange(5, 50, 7)),
                ParameterDraft("nothing", IntRange(1, 2)),
            ),
            constraints=("a < 1",),
            objectives=(Objective("nope", maximize=True),),
            limits=Limits(0),
            seed=-5,
            generation_size=0,
        )
    )

    assert set(found) == {
        "spec.parameters[0].int_range.step",
        "spec.parameters[1].name",
        "spec.constraints[0]",
        "spec.objectives[0].metric",
        "spec.random.trial_count",
        "spec.seed",
        "spec.generation_size",
    }
