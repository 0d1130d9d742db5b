"""How much each searched parameter matters, judged by Optuna's PED-ANOVA over complete trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from services.optimizer.adapters.optuna_terms import (
    directions_of,
    distribution_of,
    speak_through_logging,
)
from services.optimizer.core.ports import StudyShape
from services.optimizer.core.trial import Trial, TrialState

_FEWEST_TRIALS = 20
"""The evaluator compares the best tenth with all: with fewer trials that tenth is a single one."""

_BEST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Importance:
    """How much each parameter matters for one objective.

    Attributes:
        metric: The objective's metric.
        shares: Parameters with their shares, which sum to 1, by falling importance, equals in the
            order of the spec; empty where undefined.
        undefined_reason: Why there are no shares, as in `assay.optimizer.v1.ParameterImportance`.
    """

    metric: str
    shares: tuple[tuple[str, float], ...] = ()
    undefined_reason: str = ""


def importances(shape: StudyShape, trials: Sequence[Trial]) -> list[Importance]:
    """Return one entry per objective; the same for the same trials. Blocks.

    Parameters with one possible value cannot matter and are left out.
    """
    speak_through_logging()
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    distributions = {one.name: distribution_of(one) for one in shape.searched}
    varied = {name: one for name, one in distributions.items() if not one.single()}
    return [
        _importance(metric, place, maximize, complete, varied)
        for place, (metric, maximize) in enumerate(
            zip(shape.metric_names, shape.maximize, strict=True)
        )
    ]


def _importance(
    metric: str,
    place: int,
    maximize: bool,
    trials: Sequence[Trial],
    distributions: Mapping[str, BaseDistribution],
) -> Importance:
    values = [trial.objective_values[place] for trial in trials]
    if len(distributions) < 2:
        return Importance(metric, undefined_reason="FEWER_THAN_TWO_PARAMETERS")
    if len(trials) < _FEWEST_TRIALS:
        return Importance(metric, undefined_reason="FEWER_THAN_20_TRIALS")
    if _is_flat(values, maximize=maximize):
        return Importance(metric, undefined_reason="CONSTANT_OBJECTIVE")
    study = optuna.create_study(directions=directions_of([maximize]))
    study.add_trials(
        create_trial(
            value=value,
            params={name: trial.parameters[name] for name in distributions},
            distributions=dict(distributions),
        )
        for trial, value in zip(trials, values, strict=True)
    )
    found = get_param_importances(
        study, evaluator=PedAnovaImportanceEvaluator(), params=list(distributions)
    )
    # Sorting is stable: equal shares stay in the order of the spec.
    shares = sorted(((name, found[name]) for name in distributions), key=lambda item: -item[1])
    return Importance(metric, tuple(shares))


def _is_flat(values: Sequence[float], *, maximize: bool) -> bool:
    """Whether the best tenth of the trials is no better than the worst trial.

    Then there is nothing that some parameter could be important for.
    """
    best_first = sorted(values, reverse=maximize)
    last_of_best = best_first[math.ceil(_BEST_SHARE * len(values)) - 1]
    return last_of_best == best_first[-1]
