"""From outcomes to trials."""

from __future__ import annotations

from assay.backtest.v1 import metrics_pb2

from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.study.judge import REASONS, Slot, judged
from services.optimizer.core.trial import Outcome, TrialState
from tests.unit.optimizer.in_memory import make_plan

SLOT = Slot(number=9, generation_number=2, start_time_ms=5, end_time_ms=6)
POINT = {"fast_period": 5, "slow_period": 20}
PLAN = make_plan(
    constraints=["trade_count >= 30"],
    objectives=[
        Objective("sharpe_ratio", maximize=True),
        Objective("max_drawdown_ratio", maximize=False),
    ],
)


def test_a_complete_trial_has_every_objective_and_its_constraints() -> None:
    """Feasible when all hold."""
    outcome = Outcome({"sharpe_ratio": 1.0, "max_drawdown_ratio": 0.2, "trade_count": 31.0})
    trial = judged(PLAN, SLOT, POINT, outcome)

    assert trial.state is TrialState.COMPLETE
    assert trial.objective_values == (1.0, 0.2)
    assert trial.constraint_values == (-1.0,)
    assert trial.feasible
    assert (trial.number, trial.generation_number) == (9, 2)
    assert trial.parameters == POINT


def test_a_broken_constraint_makes_a_trial_infeasible_not_failed() -> None:
    """Its values stay what they are."""
    outcome = Outcome({"sharpe_ratio": 1.0, "max_drawdown_ratio": 0.2, "trade_count": 29.0})
    trial = judged(PLAN, SLOT, POINT, outcome)

    assert (trial.state, trial.feasible) == (TrialState.COMPLETE, False)
    assert trial.constraint_values == (1.0,)


def test_a_constraint_on_an_undefined_metric_is_not_fulfilled() -> None:
    """Undefined is never good enough."""
    outcome = Outcome({"sharpe_ratio": 1.0, "max_drawdown_ratio": 0.2}, {"trade_count": 7})
    trial = judged(PLAN, SLOT, POINT, outcome)

    assert (trial.state, trial.feasible) == (TrialState.COMPLETE, False)
    assert trial.constraint_values == ()


def test_an_undefined_objective_fails_the_trial_with_its_reason() -> None:
    """Nothing is put in its place; the metrics that are defined are kept."""
    outcome = Outcome({"trade_count": 0.0}, {"sharpe_ratio": 2, "max_drawdown_ratio": 1})
    trial = judged(PLAN, SLOT, POINT, outcome)

    assert trial.state is TrialState.FAILED
    assert not trial.feasible
    assert trial.objective_values == ()
    assert trial.outcome.failure_reason == "OBJECTIVE_UNDEFINED"
    assert trial.outcome.failure_message == (
        "sharpe_ratio is undefined: no variance; "
        "max_drawdown_ratio is undefined: too few observations"
    )
    assert trial.outcome.metrics == {"trade_count": 0.0}


def test_a_set_that_did_not_run_is_a_failed_trial() -> None:
    """With the worker's own words."""
    trial = judged(PLAN, SLOT, POINT, Outcome(failure_reason="SET_FAILED", failure_message="why"))

    assert (trial.state, trial.feasible) == (TrialState.FAILED, False)
    assert (trial.outcome.failure_reason, trial.outcome.failure_message) == ("SET_FAILED", "why")


def test_every_reason_of_the_contract_has_words() -> None:
    """A reason added to the contract must be added here."""
    assert set(REASONS) == set(metrics_pb2.UndefinedReason.values()) - {0}
