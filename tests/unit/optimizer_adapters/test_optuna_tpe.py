"""The estimator for several objectives: Optuna's own on what is kept of the trials told."""

from __future__ import annotations

import statistics

import optuna
import pytest

from services.optimizer.adapters.optuna_terms import NUMPY_SEED_LIMIT, distribution_of, typed_value
from services.optimizer.adapters.searches.optuna_tpe import OptunaTpeSearch
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.space import DoubleRange, Parameter, Space
from services.optimizer.core.trial import Point, TrialState
from tests.unit.optimizer.plans import DRAWDOWN, MIXED, SHARPE, plan_of, run, told_again, typed

BOTH = (SHARPE, DRAWDOWN)


@pytest.mark.parametrize("multivariate", [False, True])
def test_a_young_study_gets_what_optuna_proposes(multivariate: bool) -> None:
    """Stock ask and tell over the same trials with the same seed: the same generation."""
    plan = plan_of(SearchKind.BAYESIAN, MIXED, objectives=BOTH, multivariate=multivariate)
    trials = run(plan, RandomSearch(MIXED, (), 3, 8), range(5))
    sampler = optuna.samplers.TPESampler(
        multivariate=multivariate,
        n_startup_trials=0,
        seed=draw(plan.seed, "tpe", 5) % NUMPY_SEED_LIMIT,
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    distributions = {one.name: distribution_of(one) for one in plan.shape.searched}
    for trial in trials:
        if trial.state is TrialState.COMPLETE:
            study.add_trial(
                optuna.trial.create_trial(
                    values=trial.objective_values,
                    params={name: trial.parameters[name] for name in distributions},
                    distributions=distributions,
                )
            )
    domains = {one.name: one.domain for one in MIXED.searched}
    wanted = [
        {
            name: typed_value(domains[name], value)
            for name, value in study.ask(distributions).params.items()
        }
        for _ in range(8)
    ]
    points = told_again(OptunaTpeSearch(plan), trials, 8).ask(5, 8)

    assert [{name: point[name] for name in distributions} for point in points] == wanted


def test_it_learns_both_objectives() -> None:
    """Later trials are better than chance in the sum of two goals that do not conflict."""
    space = Space(tuple(Parameter(name, DoubleRange(0.0, 1.0)) for name in "abc"))
    plan = plan_of(SearchKind.BAYESIAN, space, objectives=BOTH)

    def market(point: Point) -> dict[str, float]:
        distance = sum((float(value) - 0.7) ** 2 for value in point.values())
        return {"sharpe_ratio": -distance, "max_drawdown_ratio": distance + float(point["a"]) / 9}

    trials = run(plan, OptunaTpeSearch(plan), range(10), market, failing=False)
    early = statistics.mean(one.objective_values[0] for one in trials[:10])
    late = statistics.mean(one.objective_values[0] for one in trials[-20:])
    assert late > early / 4


def test_what_is_kept_is_bounded_and_holds_the_good_ones() -> None:
    """The latest of the window and at most fifty good ones; a trial nothing dominates stays."""
    plan = plan_of(SearchKind.BAYESIAN, MIXED, objectives=BOTH, history_window=20)
    search = OptunaTpeSearch(plan)
    trials = run(plan, RandomSearch(MIXED, (), 3, 8), range(60))
    told_again(search, trials, 8)
    study = search._study(60)
    kept = [tuple(one.values) for one in study.trials]
    complete = [one for one in trials if one.state is TrialState.COMPLETE]
    top = max(complete, key=lambda one: one.objective_values[0])

    assert 50 <= len(kept) <= 70
    assert [one.objective_values for one in complete[-20:]] == kept[-20:]
    assert top.number < complete[-20].number
    assert top.objective_values in kept


def test_only_what_is_kept_matters() -> None:
    """Two studies with the same good and latest trials propose the same."""
    plan = plan_of(SearchKind.BAYESIAN, MIXED, objectives=BOTH, history_window=20)
    trials = run(plan, RandomSearch(MIXED, (), 3, 8), range(40))
    search = told_again(OptunaTpeSearch(plan), trials, 8)
    places = {one.place for one in (*search._good, *search._latest)}  # type: ignore[attr-defined]
    complete = [one for one in trials if one.state is TrialState.COMPLETE]
    kept = [one for place, one in enumerate(complete) if place in places]
    other = OptunaTpeSearch(plan, kept)

    assert len(kept) < len(complete) - 100
    assert typed(other.ask(40, 4)) == typed(search.ask(40, 4))


def test_points_are_drawn_till_enough_trials_are_complete() -> None:
    """Those of others count."""
    plan = plan_of(SearchKind.BAYESIAN, MIXED, objectives=BOTH, startup_trial_count=20)
    trials = run(plan, RandomSearch(MIXED, (), 3, 8), range(4))
    drawn = OptunaTpeSearch(plan).ask(9, 8)

    assert told_again(OptunaTpeSearch(plan), trials[:16], 8).ask(9, 8) == drawn
    assert told_again(OptunaTpeSearch(plan), trials, 8).ask(9, 8) != drawn
    assert OptunaTpeSearch(plan, trials).ask(9, 8) != drawn
