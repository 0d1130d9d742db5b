"""Trials of earlier studies, as a new study learns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.constraints import read_constraints
from services.optimizer.core.spec.data_aggregation import AggregationRule, DataAggregation
from services.optimizer.core.spec.draft import ParameterDraft, SearchKind, SearchOptions, StudyDraft
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.spec.warm_start import misfits, numbers_to_learn, prior_of
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import DatasetResult, Outcome, Trial, TrialState, Value
from tests.unit.optimizer.plans import DRAWDOWN, METRICS, SHARPE

NOW: dict[str, Domain] = {
    "fast": IntRange(5, 50, 5),
    "width": DoubleRange(0.1, 0.5),
    "average": Categories(("sma", "ema")),
    "fixed": Fixed(1.0),
}
CONSTRAINTS, _ = read_constraints(["trade_count >= 30"], frozenset(), frozenset(), METRICS)


def plan_of(domains: dict[str, Domain], objectives: tuple[Objective, ...] = (SHARPE,)) -> StudyPlan:
    """Return a plan over domains."""
    return StudyPlan(
        space=Space(tuple(Parameter(name, domain) for name, domain in domains.items())),
        constraints=CONSTRAINTS,
        objectives=objectives,
        search=SearchKind.BAYESIAN,
        options=SearchOptions(),
        limits=Limits(10),
        seed=1,
        generation_size=8,
    )


def trial(trades: float = 40.0, changed: Mapping[str, Value] | None = None) -> Trial:
    """Return a complete trial of an earlier study."""
    point = {"average": "ema", "fast": 10, "width": 0.25, "other": 7, **(changed or {})}
    outcome = Outcome({"sharpe_ratio": 1.0, "trade_count": trades})
    return Trial(3, 2, point, TrialState.COMPLETE, (1.0,), (), True, outcome, 5, 6, 1)


def test_a_prior_is_a_trial_of_the_new_study() -> None:
    """With its parameters in its order, its fixed values, its constraints, and a new number."""
    prior = prior_of(trial(), plan_of(NOW), 17)
    poor = prior_of(trial(trades=29.0), plan_of(NOW), 18)

    assert prior is not None
    assert list(prior.parameters.items()) == [
        ("fast", 10),
        ("width", 0.25),
        ("average", "ema"),
        ("fixed", 1.0),
    ]
    assert (prior.number, prior.objective_values, prior.feasible) == (17, (1.0,), True)
    assert prior.constraint_values == (-10.0,)
    assert (prior.outcome, prior.reused_trial_number) == (Outcome(), None)
    assert poor is not None
    assert (poor.feasible, poor.constraint_values) == (False, (1.0,))


@pytest.mark.parametrize(
    "changed",
    [{"fast": 55}, {"fast": 7}, {"width": 0.6}, {"average": "wma"}, {"fixed": 2.0}],
)
def test_values_outside_the_domains_of_now_are_left_out(changed: dict[str, Value]) -> None:
    """Fixed ones included."""
    assert prior_of(trial(changed=changed), plan_of(NOW), 0) is None


def draft_of(plan: StudyPlan) -> StudyDraft:
    """Return the draft a plan was made of."""
    return StudyDraft(
        parameters=tuple(ParameterDraft(one.name, one.domain) for one in plan.space.parameters),
        constraints=(),
        objectives=plan.objectives,
        search=plan.search,
        limits=plan.limits,
        options=plan.options,
        seed=1,
        generation_size=8,
    )


def test_earlier_studies_must_search_the_same_parameters_for_the_same_objectives() -> None:
    """Ranges may differ, and what is fixed now need not have been searched."""
    draft = draft_of(plan_of(NOW))
    wider = plan_of({**NOW, "fast": IntRange(1, 900), "more": IntRange(1, 2)})
    other = plan_of({"fast": DoubleRange(1.0, 2.0), "width": Fixed(0.1)}, (SHARPE, DRAWDOWN))

    assert list(misfits(draft, wider)) == []
    assert list(misfits(draft, other)) == [
        "searches 'fast' with another type",
        "does not search 'width'",
        "does not search 'average'",
        "has other objectives",
    ]
    minimized = replace(wider, objectives=(replace(SHARPE, maximize=False),))
    assert list(misfits(draft, minimized)) == ["has other objectives"]


def test_studies_over_several_data_learn_from_those_of_the_same_rule_or_over_one() -> None:
    """A mean teaches nothing of what is worst; one snapshot is all of them at once."""
    worst, mean = (
        DataAggregation(rule, ("datasets/a", "datasets/b"))
        for rule in (AggregationRule.WORST, AggregationRule.MEAN)
    )
    plan = plan_of(NOW)
    draft = replace(draft_of(plan), aggregation=worst)
    assert list(misfits(draft, plan)) == []
    assert list(misfits(draft, replace(plan, aggregation=worst))) == []
    told = list(misfits(draft, replace(plan, aggregation=mean)))
    assert told == ["aggregates its data by another rule"]


def test_a_prior_over_several_data_must_be_feasible_on_each() -> None:
    """Whatever the aggregated metrics say."""
    results = tuple(DatasetResult(metrics={"trade_count": count}) for count in (90.0, 20.0))
    earlier = trial(trades=55.0)
    outcome = replace(earlier.outcome, dataset_results=results)
    prior = prior_of(replace(earlier, outcome=outcome), plan_of(NOW), 0)
    assert prior is not None
    assert (prior.feasible, prior.constraint_values) == (False, (10.0,))
    assert prior.outcome == Outcome()


def table(values: list[list[float]], feasible: list[bool], states: list[int]) -> TrialTable:
    """Return a table of trials."""
    count = len(values)
    return TrialTable(
        numbers=np.arange(count),
        generation_numbers=np.zeros(count, dtype=np.int32),
        states=np.array(states, dtype=np.int8),
        feasible=np.array(feasible),
        objective_values=np.array(values),
        parameters={},
    )


def test_the_best_are_learnt_first() -> None:
    """Feasible by merit, then infeasible by merit; failed and pruned ones not at all."""
    nan = float("nan")
    told = table(
        [[1.0], [3.0], [nan], [9.0], [3.0], [nan], [7.0]],
        [True, True, False, False, True, False, False],
        [1, 1, 2, 1, 1, 3, 1],
    )

    assert numbers_to_learn(told, [SHARPE]).tolist() == [1, 4, 0, 3, 6]
    minimized = [replace(SHARPE, maximize=False)]
    assert numbers_to_learn(told, minimized).tolist() == [0, 1, 4, 6, 3]


def test_of_several_objectives_the_front_is_learnt_first() -> None:
    """Then all others, by rising number."""
    told = table(
        [[1.0, 0.5], [3.0, 0.4], [9.0, 0.9], [2.0, 0.1], [0.0, 0.0]],
        [True, True, False, True, True],
        [1, 1, 1, 1, 1],
    )

    assert numbers_to_learn(told, [SHARPE, DRAWDOWN]).tolist() == [1, 3, 4, 0, 2]
