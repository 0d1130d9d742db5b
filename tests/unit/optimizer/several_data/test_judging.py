"""From outcomes over several data to one trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.optimizer.core.spec.data_aggregation import AggregationRule, DataAggregation
from services.optimizer.core.spec.expression import Expression
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.dataset_judging import joined, judged_over_datasets
from services.optimizer.core.study.judge import Slot
from services.optimizer.core.trial import Outcome, Trial, TrialState
from tests.unit.optimizer.in_memory import make_plan

POINT = {"fast_period": 5, "slow_period": 20}
SHARPE = Objective("sharpe_ratio", maximize=True)
DRAWDOWN = Objective("max_drawdown_ratio", maximize=False)
A = Outcome(
    {"sharpe_ratio": 1.0, "max_drawdown_ratio": 0.1, "trade_count": 40.0, "sqn": 1.5},
    evaluated_bar_count=100,
)
B = Outcome(
    {"sharpe_ratio": 0.25, "max_drawdown_ratio": 0.4, "trade_count": 35.0},
    {"sqn": 2},
    evaluated_bar_count=90,
)
NO_SHARPE = Outcome({"trade_count": 0.0, "max_drawdown_ratio": 0.0}, {"sharpe_ratio": 3})
BROKEN = Outcome(failure_reason="SET_FAILED", failure_message="broken")


def plan_of(rule: AggregationRule, objectives: Sequence[Objective] = (SHARPE,)) -> StudyPlan:
    """Return a plan over two datasets whose trials must trade thirty times."""
    aggregation = DataAggregation(rule, ("datasets/a", "datasets/b"), frozenset({"trade_count"}))
    plan = make_plan(constraints=["trade_count >= 30"], objectives=objectives)
    return replace(plan, aggregation=aggregation)


def trial_of(plan: StudyPlan, *outcomes: Outcome) -> Trial:
    """Return the trial of a point with these outcomes."""
    slot = Slot(number=3, generation_number=1, start_time_ms=5, end_time_ms=6)
    return judged_over_datasets(plan, slot, POINT, joined(plan, POINT, outcomes))


def test_the_mean_is_of_objectives_and_of_each_metric_that_all_have() -> None:
    """Whole numbers stay whole: 37.5 trades are 38, ties going to the even number."""
    trial = trial_of(plan_of(AggregationRule.MEAN), A, B)
    assert trial.state is TrialState.COMPLETE
    assert trial.objective_values == (0.625,)
    assert trial.outcome.metrics == {
        "sharpe_ratio": 0.625,
        "max_drawdown_ratio": 0.25,
        "trade_count": 38.0,
    }
    assert trial.outcome.undefined == {"sqn": 2}
    assert trial.outcome.evaluated_bar_count == 190
    assert [one.objective_values for one in trial.outcome.dataset_results] == [(1.0,), (0.25,)]
    assert trial.feasible
    assert trial.constraint_values == (-5.0,)


def test_the_worst_of_each_objective_with_the_metrics_of_the_worst_first_one() -> None:
    """B has the worse Sharpe ratio and the worse drawdown; with them exchanged each its own."""
    plan = plan_of(AggregationRule.WORST, (SHARPE, DRAWDOWN))
    trial = trial_of(plan, A, B)
    assert trial.objective_values == (0.25, 0.4)
    assert (trial.outcome.metrics, trial.outcome.undefined) == (B.metrics, B.undefined)
    deeper = replace(A, metrics={**A.metrics, "max_drawdown_ratio": 0.7})
    trial = trial_of(plan, deeper, B)
    assert trial.objective_values == (0.25, 0.7)
    assert trial.outcome.metrics["max_drawdown_ratio"] == 0.4


def test_an_expression_is_computed_on_each_of_the_data_first() -> None:
    """The mean of quotients is not the quotient of means."""
    ratio = Objective("ratio", True, Expression("sharpe_ratio / max_drawdown_ratio"))
    trial = trial_of(plan_of(AggregationRule.MEAN, (ratio,)), A, B)
    assert trial.objective_values == ((10.0 + 0.625) / 2,)


def test_a_constraint_must_hold_on_every_one() -> None:
    """However well it does on the others."""
    idle = replace(B, metrics={**B.metrics, "trade_count": 12.0})
    trial = trial_of(plan_of(AggregationRule.MEDIAN), A, idle)
    assert trial.state is TrialState.COMPLETE
    assert not trial.feasible
    assert trial.constraint_values == (18.0,)
    assert [one.feasible for one in trial.outcome.dataset_results] == [True, False]


def test_an_objective_undefined_on_one_fails_the_trial_and_names_it() -> None:
    """What each of the data says is kept."""
    trial = trial_of(plan_of(AggregationRule.WORST), A, NO_SHARPE)
    assert trial.state is TrialState.FAILED
    assert trial.objective_values == trial.constraint_values == ()
    assert not trial.feasible
    assert trial.outcome.failure_reason == "OBJECTIVE_UNDEFINED"
    assert trial.outcome.failure_message == "datasets/b: sharpe_ratio is undefined: no trades"
    assert trial.outcome.metrics == {}
    first, second = trial.outcome.dataset_results
    assert (first.objective_values, first.failure_reason) == ((1.0,), "")
    assert (second.objective_values, second.failure_reason) == ((), "OBJECTIVE_UNDEFINED")
    assert second.metrics == NO_SHARPE.metrics


def test_what_a_worker_could_not_run_is_not_taken_for_the_points_fault() -> None:
    """Else the point would never be tried again."""
    trial = trial_of(plan_of(AggregationRule.MEAN), NO_SHARPE, BROKEN)
    assert trial.outcome.failure_reason == "SET_FAILED"
    told = "datasets/a: sharpe_ratio is undefined: no trades; datasets/b: broken"
    assert trial.outcome.failure_message == told
    assert (trial.outcome.metrics, trial.outcome.undefined) == ({}, {})
