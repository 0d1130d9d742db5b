"""What every search promises: pure, prefix-stable, resumable, inside its domains."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from services.common.errors import AssayError
from services.optimizer.adapters.searches.choice import search_of
from services.optimizer.core.searches import qmc_search, random_search
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.searches.tpe import search as tpe_search
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
    accepts,
    exact,
)
from services.optimizer.core.trial import Point, Value
from tests.unit.optimizer.plans import MIXED, run, told_again, trial_of, typed
from tests.unit.optimizer_adapters.search_kinds import (
    KINDS,
    LEARNING,
    METRIC_CONSTRAINT,
    PARAMETER_CONSTRAINT,
    SEEDED,
    kind_plan,
)

GIVEN: list[Point] = RandomSearch(MIXED, (), 99, 11).ask(0, 11)

SITUATIONS: dict[str, dict[str, Any]] = {
    "free": {},
    "constrained": {"constraints": [PARAMETER_CONSTRAINT, METRIC_CONSTRAINT]},
    "with-starting-points": {"starting_points": GIVEN},
}


def situations(names: Sequence[str]) -> list[Any]:
    """Return kinds with the situations that suit them."""
    return [
        pytest.param(name, changes, id=f"{name}-{situation}")
        for name, (situation, changes) in itertools.product(names, SITUATIONS.items())
        if situation != "with-starting-points" or name not in {"grid", "brute_force"}
    ]


@pytest.mark.parametrize(("name", "changes"), situations(list(KINDS)))
def test_a_generation_cut_short_begins_like_the_whole_one(
    name: str, changes: dict[str, Any]
) -> None:
    """For every count, from one search and from another told the same."""
    plan = kind_plan(name, **changes)
    trials = run(plan, search_of(plan), range(4))
    search = told_again(search_of(plan), trials, 8)
    for generation in (4, 0) if name not in LEARNING else (4,):
        whole = typed(search.ask(generation, 8))
        assert len(whole) == 8
        for count in (1, 5):
            assert typed(search.ask(generation, count)) == whole[:count]
            fresh = told_again(search_of(plan), trials, 8)
            assert typed(fresh.ask(generation, count)) == whole[:count]
        assert typed(search.ask(generation, 8)) == whole


@pytest.mark.parametrize(("name", "changes"), situations(list(KINDS)))
def test_a_resumed_search_goes_on_as_if_it_had_never_been_interrupted(
    name: str, changes: dict[str, Any]
) -> None:
    """A new one told the stored generations proposes the same, and so does what follows."""
    plan = kind_plan(name, **changes)
    whole = run(plan, search_of(plan), range(7))
    for cut in (1, 2, 5):
        resumed = told_again(search_of(plan), whole[: cut * 8], 8)
        rest = run(plan, resumed, range(cut, 7))
        assert typed([one.parameters for one in rest]) == typed(
            [one.parameters for one in whole[cut * 8 :]]
        )


@pytest.mark.parametrize("name", LEARNING)
def test_a_search_that_learns_from_others_is_resumed_with_them(name: str) -> None:
    """Trials of others move it, the same way every time; they are nobody's trials here."""
    plan = kind_plan(name, [METRIC_CONSTRAINT])
    priors = run(kind_plan(name, [METRIC_CONSTRAINT], seed=3), search_of(plan), range(5))
    whole = run(plan, search_of(plan, priors), range(4))
    resumed = told_again(search_of(plan, priors), whole[:16], 8)

    assert typed(resumed.ask(2, 8)) == typed([one.parameters for one in whole[16:24]])
    assert typed(search_of(plan).ask(0, 8)) != typed([one.parameters for one in whole[:8]])


@pytest.mark.parametrize("name", SEEDED)
def test_seeds_and_generations_differ(name: str) -> None:
    """Neither another generation nor another seed repeats the points."""
    plan, other = kind_plan(name), kind_plan(name, seed=8)
    trials = run(plan, search_of(plan), range(4))
    asked = [trials[first : first + 8] for first in range(0, 32, 8)]
    others = run(other, search_of(other), range(4))

    points = [typed([one.parameters for one in generation]) for generation in asked]
    assert all(one != two for one, two in itertools.combinations(points, 2))
    assert typed([one.parameters for one in others]) != [point for one in points for point in one]


@pytest.mark.parametrize("name", KINDS)
def test_every_value_is_of_its_domain_and_type(name: str) -> None:
    """Whole numbers are ints, stepped numbers the decimals of the range, words of the list."""
    plan = kind_plan(name)
    for trial in run(plan, search_of(plan), range(8)):
        assert list(trial.parameters) == [one.name for one in plan.space.parameters]
        for parameter in plan.space.parameters:
            value = trial.parameters[parameter.name]
            assert belongs(parameter.domain, value), (parameter, value)


def belongs(domain: Domain, value: Value) -> bool:
    """Tell whether a value is one of a domain, in its type."""
    if isinstance(domain, Fixed):
        return value == domain.value and type(value) is type(domain.value)
    if isinstance(domain, Categories):
        return type(value) is str and value in domain.values
    if type(value) is not (int if isinstance(domain, IntRange) else float):
        return False
    assert not isinstance(value, str)
    if domain.step is None:
        return domain.low <= value <= domain.high
    index = (exact(value) - exact(domain.low)) / exact(domain.step)
    return 0 <= index < (domain.point_count or 0) and value == domain.value_at(int(index))


@pytest.mark.parametrize("text", [PARAMETER_CONSTRAINT, "fast_period * 4 == slow_period"])
@pytest.mark.parametrize("name", KINDS)
def test_constraints_on_parameters_hold(name: str, text: str) -> None:
    """Also where few points fulfil them."""
    plan = kind_plan(name, [text])
    count = 0
    for trial in run(plan, search_of(plan), range(4)):
        assert accepts(trial.parameters, plan.constraints.on_parameters)
        count += 1
    assert count == 32 or name in {"grid", "brute_force"}


@pytest.mark.parametrize("name", LEARNING)
def test_starting_points_come_first_and_are_learnt(name: str) -> None:
    """They are the first trials, and other outcomes of theirs lead elsewhere."""
    plan = kind_plan(name, starting_points=GIVEN)
    search = search_of(plan)
    trials = run(plan, search, range(6))
    turned = run(
        plan,
        search_of(plan),
        range(6),
        lambda point: {
            "sharpe_ratio": -float(point["width"]),
            "max_drawdown_ratio": float(point["fast_period"]) / 100.0,
            "trade_count": float(point["hold_bars"]),
        },
    )

    assert typed([one.parameters for one in trials[:11]]) == typed(GIVEN)
    assert typed([one.parameters for one in trials[16:]]) != typed(
        [one.parameters for one in turned[16:]]
    )


SMALL = Space(
    (
        Parameter("fast_period", IntRange(4, 4)),
        Parameter("slow_period", IntRange(7, 9)),
        Parameter("width", DoubleRange(0.5, 0.5)),
        Parameter("average", Categories(("ema",))),
    )
)


@pytest.mark.parametrize("name", KINDS)
def test_single_values_and_tiny_spaces_are_searched(name: str) -> None:
    """Three points in all: they come again, or end, and nothing breaks."""
    space = SMALL if name in LEARNING else Space(tuple(map(_stepped, SMALL.parameters)))
    plan = kind_plan(name, space=space)
    points = [trial.parameters for trial in run(plan, search_of(plan), range(6))]

    assert {float(point["slow_period"]) for point in points} == {7, 8, 9}
    assert all(
        (point["fast_period"], point["width"], point["average"]) == (4, 0.5, "ema")
        for point in points
    )


def _stepped(parameter: Parameter) -> Parameter:
    domain = parameter.domain
    if isinstance(domain, DoubleRange):
        return Parameter(parameter.name, DoubleRange(domain.low, domain.high, 0.1))
    return parameter


@pytest.mark.parametrize("high", [9_999.999, 1e9])
@pytest.mark.parametrize("name", [name for name in KINDS if name not in {"grid", "brute_force"}])
def test_a_lattice_of_any_fineness_is_kept(name: str, high: float) -> None:
    """Values are the decimals low + k x step, also where floats, and Optuna, cannot count them."""
    plan = kind_plan(name, space=Space((Parameter("x", DoubleRange(0.0, high, 0.001)),)))

    def market(point: Point) -> dict[str, float]:
        place = float(point["x"]) / high
        return {"sharpe_ratio": -place, "max_drawdown_ratio": place * place, "trade_count": place}

    for trial in run(plan, search_of(plan), range(4), market):
        value = trial.parameters["x"]
        assert value == float(Decimal(round(float(value) * 1000)) / 1000)


WORDS = Space(
    (
        Parameter("average", Categories(("sma", "ema", "wma"))),
        Parameter("exit", Categories(("stop", "trail"))),
    )
)


@pytest.mark.parametrize("name", KINDS)
def test_words_alone_are_searched(name: str) -> None:
    """All six combinations come up."""
    plan = kind_plan(name, space=WORDS)
    trials = run(plan, search_of(plan), range(8), word_market)

    assert {tuple(trial.parameters.values()) for trial in trials} == set(
        itertools.product(("sma", "ema", "wma"), ("stop", "trail"))
    )


def word_market(point: Point) -> dict[str, float]:
    """Return metrics of words."""
    rank = float(("sma", "ema", "wma").index(str(point["average"])))
    trailing = float(point["exit"] == "trail")
    return {
        "sharpe_ratio": rank + trailing,
        "max_drawdown_ratio": 0.1 * trailing,
        "trade_count": 9.0 - rank,
    }


@pytest.mark.parametrize("name", LEARNING)
def test_a_search_goes_on_when_every_trial_fails(name: str) -> None:
    """Nothing is learnt, and points go on being drawn."""
    plan = kind_plan(name)
    search = search_of(plan)
    for generation in range(4):
        points = search.ask(generation, 8)
        assert len(points) == 8
        # Trial number 3 and every eleventh from it fail.
        search.tell(
            [
                replace(
                    trial_of(plan, 3 + 11 * place, point),
                    number=generation * 8 + place,
                    generation_number=generation,
                )
                for place, point in enumerate(points)
            ]
        )


@pytest.mark.parametrize("name", KINDS)
def test_a_space_without_points_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constraints that no point fulfils end a search with SPACE_INFEASIBLE, a lattice with none."""
    for module in (random_search, qmc_search, tpe_search):
        monkeypatch.setattr(module, "ATTEMPT_LIMIT", 300, raising=False)
    plan = kind_plan(name, ["fast_period > 100"])
    search = search_of(plan)
    if name in {"grid", "brute_force"}:
        assert search.ask(0, 8) == []
        return
    with pytest.raises(AssayError) as refused:
        search.ask(0, 1)
    assert refused.value.reason == "SPACE_INFEASIBLE"
