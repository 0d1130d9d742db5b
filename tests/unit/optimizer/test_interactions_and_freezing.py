"""How parameters act together, and which of them can be fixed at what cost."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from services.optimizer.core.analysis.freezing import FreezeSuggestion, freeze_suggestions
from services.optimizer.core.analysis.importance import Evaluator, Importance, Share
from services.optimizer.core.analysis.interactions import interactions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.trial import Outcome, Trial, TrialState, Value
from tests.unit.optimizer.in_memory import make_plan
from tests.unit.optimizer.tables import table_of

UP = (Objective("sharpe_ratio", maximize=True),)
DOWN = (Objective("max_drawdown_ratio", maximize=False),)


def importance_of(*names: str, significant: bool = False) -> Importance:
    """Return an importance that names these parameters in this order."""
    share = 1 / len(names) if names else 0.0
    shares = tuple(Share(name, share, share / 2, significant) for name in names)
    return Importance("sharpe_ratio", Evaluator.PED_ANOVA, shares)


def cells_of(domain: Domain, column: npt.NDArray[Any]) -> dict[str, int]:
    """Return the cells of a parameter and how many of these values lie in each."""
    space = Space((Parameter("one", domain), Parameter("other", Categories(("x",)))))
    table = table_of(
        np.zeros((len(column), 1)),
        parameters={"one": column, "other": np.zeros(len(column), dtype=np.int32)},
    )
    (found,) = interactions(make_plan(space), table, importance_of("one", "other"))
    assert found.second_cells == ("x",)
    return dict(zip(found.first_cells, found.trial_counts, strict=True))


@pytest.mark.parametrize(
    ("domain", "labels"),
    [
        (Categories(("b", "a")), ["b", "a"]),
        (IntRange(3, 7), ["3", "4", "5", "6", "7"]),
        (DoubleRange(0.1, 0.4, 0.1), ["0.1", "0.2", "0.3", "0.4"]),
        (IntRange(1, 5, log=True), ["1", "2", "3", "4", "5"]),
        (IntRange(0, 19), ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18"]),
        (IntRange(0, 100, 10), ["0", "20", "30", "40", "50", "60", "70", "80", "90", "100"]),
        (
            DoubleRange(-1.0, 1.0),
            ["-1.0", "-0.8", "-0.6", "-0.4", "-0.2", "0.0", "0.2", "0.4", "0.6", "0.8"],
        ),
        (IntRange(1, 1024, log=True), ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"]),
        (IntRange(1, 20, log=True), ["1", "2", "3", "4", "5", "7", "9", "11", "15"]),
    ],
)
def test_cells_are_words_few_values_or_ten_parts(domain: Domain, labels: list[str]) -> None:
    """Labelled by their lowest value, which lies in its own cell."""
    if isinstance(domain, Categories):
        lowest: npt.NDArray[Any] = np.arange(len(labels), dtype=np.int32)
    else:
        lowest = np.array([float(text) for text in labels])
        if isinstance(domain, IntRange):
            lowest = lowest.astype(np.int64)
    found = cells_of(domain, lowest)

    assert list(found) == labels
    assert set(found.values()) == {1}


def test_cells_of_a_logarithm_have_equal_ratios() -> None:
    """Ten of them from the low end to the high one, both ends inside."""
    found = cells_of(DoubleRange(0.001, 10.0, log=True), np.array([0.001, 0.0024, 0.0026, 10.0]))
    lowest = [float(text) for text in found]

    assert len(found) == 10
    assert lowest == pytest.approx([0.001 * 10 ** (0.4 * place) for place in range(10)])
    assert list(found.values()) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("objectives", [UP, DOWN])
def test_cells_hold_the_mean_and_the_best_of_complete_trials(
    objectives: tuple[Objective, ...],
) -> None:
    """The second parameter varies fastest; 0 where there is nobody; sums are exact."""
    space = Space((Parameter("word", Categories(("a", "b"))), Parameter("whole", IntRange(1, 3))))
    values = [[0.1], [0.2], [0.3], [9.0], [1e16], [1.0], [-1e16]]
    table = table_of(
        values,
        states=[1, 1, 1, 3, 1, 1, 1],
        parameters={
            "word": np.array([1, 1, 1, 1, 0, 0, 0], dtype=np.int32),
            "whole": np.array([1, 1, 1, 2, 3, 3, 3]),
        },
    )
    plan = make_plan(space, objectives=objectives)
    (found,) = interactions(plan, table, importance_of("word", "whole"))
    tenths = float(Fraction(0.1) + Fraction(0.2) + Fraction(0.3)) / 3

    assert (found.first_name, found.second_name) == ("word", "whole")
    assert (found.first_cells, found.second_cells) == (("a", "b"), ("1", "2", "3"))
    assert found.trial_counts == (0, 0, 3, 3, 0, 0)
    assert found.mean_values == (0.0, 0.0, 1 / 3, tenths, 0.0, 0.0)
    best = (1e16, 0.3) if objectives is UP else (-1e16, 0.1)
    assert found.best_values == (0.0, 0.0, best[0], best[1], 0.0, 0.0)


def test_the_four_most_important_parameters_are_paired() -> None:
    """The more important one first; none where importance is undefined."""
    names = "edcba"
    space = Space(tuple(Parameter(name, IntRange(1, 2)) for name in "abcde"))
    columns = {name: np.array([1, 2]) for name in "abcde"}
    table, plan = table_of([[1.0], [2.0]], parameters=columns), make_plan(space)
    found = interactions(plan, table, importance_of(*names))
    pairs = ["ed", "ec", "eb", "dc", "db", "cb"]

    assert [one.first_name + one.second_name for one in found] == pairs
    assert interactions(plan, table, importance_of()) == ()


def best_trial(**parameters: Value) -> Trial:
    """Return a complete trial at a point."""
    return Trial(0, 0, parameters, TrialState.COMPLETE, (0.0,), (), True, Outcome(), 0, 0)


def suggested(
    domain: Domain, column: npt.NDArray[Any], values: list[float], best: Value, *, up: bool = True
) -> FreezeSuggestion:
    """Return what is suggested for one parameter."""
    plan = make_plan(Space((Parameter("one", domain),)), objectives=UP if up else DOWN)
    table = table_of([[value] for value in values], parameters={"one": column})
    (found,) = freeze_suggestions(plan, table, importance_of("one"), best_trial(one=best))
    return found


@pytest.mark.parametrize("up", [True, False])
def test_fixing_costs_what_the_best_tenth_loses(up: bool) -> None:
    """Of 20 trials the best two are 20 and 19; of the three near 0.3 the best is 18."""
    column = np.array([0.3, 0.4, 0.2, 0.41, 0.19, *([1.0] * 15)])
    values = [1.0, 2.0, 18.0, 19.0, 20.0, *([0.5] * 15)]
    found = suggested(DoubleRange(0.0, 1.0), column, [v if up else -v for v in values], 0.3, up=up)

    assert found == FreezeSuggestion("one", 0.3, 19.5 - 18.0, 3)


def test_nothing_is_lost_where_the_best_are_near() -> None:
    """The cost is never below 0; a word is near itself only; eleven trials have a best two."""
    column = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], dtype=np.int32)
    values = [5.0, 4.0, 3.0, *([1.0] * 8)]

    assert suggested(Categories(("a", "b")), column, values, "b") == FreezeSuggestion(
        "one", "b", 0.0, 2
    )
    assert suggested(Categories(("a", "b")), column, values, "a").objective_cost == 4.5 - 3.0


def test_near_is_by_the_logarithm_where_that_is_searched() -> None:
    """A tenth of three decades."""
    column = np.array([10.0, 19.0, 21.0, 5.1, 4.9])
    found = suggested(DoubleRange(1.0, 1000.0, log=True), column, [1.0] * 5, 10.0)

    assert found.near_trial_count == 3


def test_whole_numbers_and_huge_ranges_are_near_too() -> None:
    """A tenth of the range counts, itself included."""
    column = np.array([10, 20, 21, 0])
    assert suggested(IntRange(0, 100), column, [1.0] * 4, 10).near_trial_count == 3
    far = np.array([-1.7e308, 1.7e308])
    assert suggested(DoubleRange(-1.7e308, 1.7e308), far, [1.0] * 2, 1.7e308).near_trial_count == 1


def test_what_matters_is_not_suggested() -> None:
    """Only what is not significant."""
    plan = make_plan(Space((Parameter("one", IntRange(1, 2)), Parameter("two", IntRange(1, 2)))))
    table = table_of([[1.0]], parameters={"one": np.array([1]), "two": np.array([1])})
    mixed = importance_of("one", "two")
    mixed = replace(mixed, shares=(replace(mixed.shares[0], significant=True), mixed.shares[1]))
    found = freeze_suggestions(plan, table, mixed, best_trial(one=1, two=1))

    assert [one.name for one in found] == ["two"]
    assert freeze_suggestions(plan, table, importance_of(), best_trial()) == ()
