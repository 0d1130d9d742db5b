"""Which trials count as good: Optuna's own split, trial for trial."""

from __future__ import annotations

import sys
from dataclasses import replace

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials, default_gamma

from services.optimizer.core.searches.tpe.axes import axis_of
from services.optimizer.core.searches.tpe.history import History, good_count
from services.optimizer.core.searches.tpe.parzen import Axes
from services.optimizer.core.spec.space import DoubleRange, Parameter, Space
from services.optimizer.core.trial import Outcome, Trial, TrialState
from tests.unit.optimizer.tpe.problems import Problem

LINE = Space((Parameter("x", DoubleRange(0.0, 1.0)),))


def line(*, maximize: bool, constrained: bool) -> Problem:
    """Return a study over one number, with ties in its values."""
    return Problem(
        space=LINE,
        objective=lambda point: round(float(point["x"]) * 9.0) / 2.0,
        maximize=maximize,
        constraints=("drawdown < 1",) if constrained else (),
    )


def history_of(problem: Problem, window: int = 10_000) -> History:
    """Return a history of the problem's axes that has been told nothing."""
    axis = axis_of(problem.space.parameters[0])
    assert axis is not None
    return History(
        Axes.of([axis], joint=True).all,
        maximize=problem.maximize,
        constrained=bool(problem.constraints),
        window=window,
    )


def optunas(trial: Trial, problem: Problem) -> optuna.trial.FrozenTrial:
    """Return the trial in Optuna's words."""
    constraints = dict(zip(("0",), trial.constraint_values, strict=False))
    if trial.state is TrialState.COMPLETE and problem.constraints and not constraints:
        constraints = {"0": sys.float_info.max}
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[
            "FAIL" if trial.state is TrialState.FAILED else trial.state.name
        ],
        values=trial.objective_values or None,
        params=dict(trial.parameters),
        distributions={"x": optuna.distributions.FloatDistribution(0.0, 1.0)},
        intermediate_values={
            one.bar_count: float("nan") if one.value is None else one.value
            for one in trial.outcome.intermediate_values
        },
        constraints=constraints,
    )


@pytest.mark.parametrize("count", [0, 1, 5, 17, 120, 1_500])
@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_good_trials_and_others_are_optunas(maximize: bool, constrained: bool, count: int) -> None:
    """Complete, pruned, infeasible and failed ones, told in pieces."""
    problem = line(maximize=maximize, constrained=constrained)
    trials = problem.drawn(count)
    if count > 20:
        # Beyond the problem's own: one pruned before any rung, one whose last rung has no value.
        trials[5] = replace(trials[5], outcome=Outcome(pruned=True))
    history = history_of(problem)
    for first in range(0, count, 37):
        history.tell(trials[first : first + 37])
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    study.add_trials(optunas(trial, problem) for trial in trials)
    learnt = [one for one in study.trials if one.state is not optuna.trial.TrialState.FAIL]
    below, above = _split_trials(study, learnt, default_gamma(len(learnt)))
    good, other = history.split()
    assert sorted(good[0].tolist()) == sorted(one.params["x"] for one in below)
    assert other[0].tolist() == [one.params["x"] for one in above]
    assert history.learnt_count == len(learnt)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 30, 70, 249, 250, 100_000])
def test_as_many_trials_are_good_as_with_optuna(count: int) -> None:
    """A tenth of them, at most 25, with the rounding of doubles."""
    assert good_count(count) == default_gamma(count)


def test_only_the_latest_of_the_others_are_kept() -> None:
    """The window holds the same trials however the story was told, and never a good one."""
    problem = line(maximize=True, constrained=False)
    trials = problem.drawn(500)
    whole, at_once, windowed = (history_of(problem, window) for window in (10_000, 40, 40))
    whole.tell(trials)
    at_once.tell(trials)
    for first in range(0, 500, 8):
        windowed.tell(trials[first : first + 8])
    assert (at_once.split()[0] == whole.split()[0]).all()
    assert (at_once.split()[1] == whole.split()[1][:, -40:]).all()
    assert all((a == b).all() for a, b in zip(at_once.split(), windowed.split(), strict=True))
