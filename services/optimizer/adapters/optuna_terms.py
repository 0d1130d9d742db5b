"""Assay's words in Optuna's: distributions, directions, constraints."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection

from services.optimizer.core.records import SearchedParameter
from services.optimizer.core.spec.space import Domain, DoubleRange, IntRange, exact
from services.optimizer.core.trial import Trial, TrialState, Value

CONSTRAINT_PREFIX = "constraints:"
"""Optuna 5 keeps each constraint of a trial as a system attribute of this prefix and its name."""

NUMPY_SEED_LIMIT = 2**32
"""Seeds of Optuna's samplers, and of `cmaes`, lie below this."""

FINEST_LATTICE = 10_000_000
"""Values of a stepped range above which Optuna's float arithmetic takes some for out of step."""


def distribution_of(parameter: SearchedParameter) -> BaseDistribution:
    """Return the parameter's domain as Optuna's distribution.

    A lattice too fine for Optuna is told to it as the whole range; `typed_value` keeps the step.
    """
    if parameter.kind == "category":
        return CategoricalDistribution(parameter.categories)
    if parameter.kind == "int":
        whole_step = 1 if parameter.step is None else int(parameter.step)
        return IntDistribution(int(parameter.low), int(parameter.high), parameter.log, whole_step)
    step = parameter.step
    if step is not None and (parameter.high - parameter.low) / step > FINEST_LATTICE:
        step = None
    return FloatDistribution(parameter.low, parameter.high, parameter.log, step)


def directions_of(maximize: Sequence[bool]) -> list[StudyDirection]:
    """Return Optuna's directions of the objectives."""
    return [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in maximize]


def typed_value(domain: Domain, value: Value) -> Value:
    """Return what Optuna suggested in the parameter's own Python type.

    Optuna computes points of a stepped range as k * step + low in floats, which gives
    0.30000000000000004; here they are the decimals the user wrote, as in a grid: 0.3.
    """
    if isinstance(domain, IntRange):
        return int(value)
    if isinstance(domain, DoubleRange):
        # Without the sign of zero, which SQLite does not keep.
        number = float(value) + 0.0
        if domain.step is None:
            return number
        # Exactly, since floats overflow where a step is tiny.
        return domain.value_at(round((exact(number) - exact(domain.low)) / exact(domain.step)))
    return str(value)


def constraint_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Return one name per constraint, in order: its text, numbered where a text is repeated."""
    names: list[str] = []
    for text in texts:
        repeats = sum(1 for earlier in texts[: len(names)] if earlier == text)
        names.append(f"{text} ({repeats + 1})" if repeats else text)
    return tuple(names)


def constraints_of(trial: Trial, names: Sequence[str]) -> dict[str, float]:
    """Return a trial's constraints for Optuna, for which 0 and less is feasible.

    A constraint whose metric is undefined does not hold. By how much nobody knows, so the trial
    gets one more constraint, which says so and is broken by more than any other.
    """
    if trial.constraint_values:
        return dict(zip(names, trial.constraint_values, strict=True))
    if names and trial.state is TrialState.COMPLETE:
        return {"undefined metric": sys.float_info.max}
    return {}


def speak_through_logging() -> None:
    """Make Optuna log like the rest of the service: no handler of its own, nothing below WARNING.

    Its INFO lines tell what the service's own log tells better (a study was made, a trial ended).
    """
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    logging.getLogger("optuna").setLevel(logging.WARNING)
