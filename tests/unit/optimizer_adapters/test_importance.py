"""Importance names the parameters that matter, or says why it cannot."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from services.optimizer.adapters.importance import importances
from services.optimizer.core.ports import SearchedParameter, StudyShape
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState

SHAPE = StudyShape(
    searched=(
        SearchedParameter("idle", "double", 0.0, 1.0),
        SearchedParameter("strong", "double", 0.0, 1.0),
        SearchedParameter("weak", "int", 1, 20),
        SearchedParameter("single", "int", 4, 4),
    ),
    metric_names=("sharpe_ratio", "max_drawdown_ratio"),
    maximize=(True, False),
)


def made_trials(
    count: int, values: Callable[[Point], tuple[float, ...]], seed: int = 1
) -> list[Trial]:
    """Return complete trials at random points."""
    draw = random.Random(seed)
    trials = []
    for number in range(count):
        point = {
            "idle": draw.random(),
            "strong": draw.random(),
            "weak": draw.randint(1, 20),
            "single": 4,
        }
        trials.append(
            Trial(
                number=number,
                generation_number=0,
                parameters=point,
                state=TrialState.COMPLETE,
                objective_values=values(point),
                constraint_values=(),
                feasible=True,
                outcome=Outcome(),
                start_time_ms=0,
                end_time_ms=0,
            )
        )
    return trials


def strong_and_weak(point: Point) -> tuple[float, float]:
    """Return a merit of one strong and one weak parameter, and a drawdown of the weak one."""
    strong, weak = float(point["strong"]), float(point["weak"])
    return -((strong - 0.7) ** 2) + weak / 2000.0, abs(weak - 5.0) / 20.0


def test_the_strongest_parameter_comes_first_per_objective() -> None:
    """Each objective has its own order; shares sum to 1."""
    first, second = importances(SHAPE, made_trials(300, strong_and_weak))
    assert (first.metric, second.metric) == ("sharpe_ratio", "max_drawdown_ratio")
    assert first.shares[0][0] == "strong"
    assert second.shares[0][0] == "weak"
    for importance in (first, second):
        assert {name for name, _ in importance.shares} == {"idle", "strong", "weak"}
        assert sum(share for _, share in importance.shares) == pytest.approx(1.0)
        assert [share for _, share in importance.shares] == sorted(
            (share for _, share in importance.shares), reverse=True
        )


def test_the_shares_are_those_of_optuna() -> None:
    """A study made with Optuna alone gives the same numbers."""
    trials = made_trials(120, strong_and_weak)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        optuna.trial.create_trial(
            value=trial.objective_values[0],
            params={name: trial.parameters[name] for name in ("idle", "strong", "weak")},
            distributions={
                "idle": FloatDistribution(0.0, 1.0),
                "strong": FloatDistribution(0.0, 1.0),
                "weak": IntDistribution(1, 20),
            },
        )
        for trial in trials
    )
    expected = optuna.importance.get_param_importances(study)
    assert dict(importances(SHAPE, trials)[0].shares) == expected


def test_equal_trials_give_equal_importances() -> None:
    """Nothing is random, nothing is kept from call to call."""
    trials = made_trials(100, strong_and_weak)
    assert importances(SHAPE, trials) == importances(SHAPE, trials)


def test_failed_trials_do_not_count() -> None:
    """Only complete trials are judged, and counted against the least number."""
    trials = made_trials(40, strong_and_weak)
    failed = [replace(t, state=TrialState.FAILED, objective_values=()) for t in trials[:15]]
    assert importances(SHAPE, [*failed, *trials]) == importances(SHAPE, trials)
    reasons = _reasons([*failed, *trials[:19]])
    assert reasons == ["FEWER_THAN_20_TRIALS", "FEWER_THAN_20_TRIALS"]


def test_an_objective_that_never_changes_has_no_importance() -> None:
    """Nor has one whose best tenth is as bad as the worst trial."""
    trials = made_trials(50, lambda point: (1.5, strong_and_weak(point)[1]))
    assert _reasons(trials) == ["CONSTANT_OBJECTIVE", ""]
    barely = [
        replace(trial, objective_values=(2.0 if trial.number < 4 else 1.5, 0.0)) for trial in trials
    ]
    assert _reasons(barely) == ["CONSTANT_OBJECTIVE", "CONSTANT_OBJECTIVE"]


def test_one_parameter_alone_has_no_share() -> None:
    """Parameters with a single value do not make two."""
    shape = replace(SHAPE, searched=(SHAPE.searched[1], SHAPE.searched[3]))
    told = importances(shape, made_trials(50, strong_and_weak))
    assert {one.undefined_reason for one in told} == {"FEWER_THAN_TWO_PARAMETERS"}
    assert importances(shape, [])[0].shares == ()


def _reasons(trials: Sequence[Trial]) -> list[str]:
    return [importance.undefined_reason for importance in importances(SHAPE, trials)]
