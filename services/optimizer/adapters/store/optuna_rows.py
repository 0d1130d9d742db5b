"""Trials as the rows Optuna 5.0 writes, bit by bit; `optuna_reads` is the way back.

The tables are Optuna's own and private to it, so its version is pinned and a contract test compares
what this module writes with what Optuna writes. Rows are written in bulk: Optuna itself needs 19
statements per trial.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Final

import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState as OptunaState

from services.optimizer.adapters.optuna_terms import (
    CONSTRAINT_PREFIX,
    constraint_names,
    constraints_of,
    distribution_of,
)
from services.optimizer.adapters.store.bulk_insert import Columns, TableRows
from services.optimizer.adapters.store.dataset_results import DATASET_RESULTS, packed
from services.optimizer.core.records import StudyShape
from services.optimizer.core.trial import Trial, TrialState

TRIALS: sa.Table = models.TrialModel.__table__
PARAMS: sa.Table = models.TrialParamModel.__table__
VALUES: sa.Table = models.TrialValueModel.__table__
INTERMEDIATE_VALUES: sa.Table = models.TrialIntermediateValueModel.__table__
USER_ATTRIBUTES: sa.Table = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRIBUTES: sa.Table = models.TrialSystemAttributeModel.__table__

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
MILLISECOND: Final = timedelta(milliseconds=1)
STATES: Final = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.PRUNED: OptunaState.PRUNED,
}
NEGATIVE_ZEROS: Final = "negative_zeros"
"""User attribute that names the zeros below zero, whose sign SQLite drops."""

_TRIALS: Final = Columns(
    "trials",
    ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    ("int", "int", "int", "trialstate", "timestamp", "timestamp"),
)
_PARAMS: Final = Columns(
    "trial_params",
    ("trial_id", "param_name", "param_value", "distribution_json"),
    ("int", "text", "float8", "text"),
)
_VALUES: Final = Columns(
    "trial_values",
    ("trial_id", "objective", "value", "value_type"),
    ("int", "int", "float8", "trialvaluetype"),
)
_INTERMEDIATE_VALUES: Final = Columns(
    "trial_intermediate_values",
    ("trial_id", "step", "intermediate_value", "intermediate_value_type"),
    ("int", "int", "float8", "trialintermediatevaluetype"),
)
_ATTRIBUTES: Final = (("trial_id", "key", "value_json"), ("int", "text", "text"))
_USER_ATTRIBUTES: Final = Columns("trial_user_attributes", *_ATTRIBUTES)
_SYSTEM_ATTRIBUTES: Final = Columns("trial_system_attributes", *_ATTRIBUTES)

# Without blanks, by which a trial's metrics stay below the size that PostgreSQL compresses.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_value_to_stored = models.TrialValueModel.value_to_stored_repr
_intermediate_to_stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr


class TrialRows:
    """Turns the trials of one study into rows."""

    def __init__(self, shape: StudyShape) -> None:
        distributions = {one.name: distribution_of(one) for one in shape.searched}
        self._parameters: list[tuple[str, Callable[[Any], float], str]] = [
            (
                name,
                partial(_place, {str(word): float(at) for at, word in enumerate(one.choices)})
                if isinstance(one, CategoricalDistribution)
                else float,
                distribution_to_json(one),
            )
            for name, one in distributions.items()
        ]
        self._metric_names = shape.metric_names
        self._constraint_names = constraint_names(shape.constraints)

    def rows(
        self, optuna_study_id: int, trial_ids: Sequence[int], trials: Sequence[Trial]
    ) -> Iterator[TableRows]:
        """Yield the rows of each of Optuna's tables, parents first.

        Args:
            optuna_study_id: Optuna's id of the study.
            trial_ids: Optuna's ids of the trials, rising.
            trials: The trials.
        """
        numbered = list(zip(trial_ids, trials, strict=True))
        yield _trial_rows(optuna_study_id, numbered)
        yield TableRows(
            _PARAMS,
            [
                (trial_id, name, internal(trial.parameters[name]), distribution)
                for trial_id, trial in numbered
                for name, internal, distribution in self._parameters
            ],
        )
        yield _value_rows(numbered)
        yield _intermediate_rows(numbered)
        yield TableRows(
            _USER_ATTRIBUTES,
            [
                (trial_id, key, text)
                for trial_id, trial in numbered
                for key, text in self._attributes(trial)
            ],
        )
        yield TableRows(
            _SYSTEM_ATTRIBUTES,
            [
                (trial_id, f"{CONSTRAINT_PREFIX}{name}", json.dumps(value))
                for trial_id, trial in numbered
                for name, value in constraints_of(trial, self._constraint_names).items()
            ],
        )

    def _attributes(self, trial: Trial) -> list[tuple[str, str]]:
        searched = {name for name, _, _ in self._parameters}
        outcome = trial.outcome
        optional: dict[str, Any] = {
            "metrics": outcome.metrics,
            "undefined": outcome.undefined,
            "failure_reason": outcome.failure_reason,
            "failure_message": outcome.failure_message,
            "evaluated_bar_count": outcome.evaluated_bar_count,
            "fixed_parameters": {
                name: value for name, value in trial.parameters.items() if name not in searched
            },
            DATASET_RESULTS: packed(outcome.dataset_results),
            NEGATIVE_ZEROS: self._negative_zeros(trial),
        }
        texts = [
            ("generation_number", str(trial.generation_number)),
            ("feasible", "true" if trial.feasible else "false"),
        ]
        if trial.reused_trial_number is not None:
            texts.append(("reused_trial_number", str(trial.reused_trial_number)))
        if trial.window_number is not None:
            texts.append(("window_number", str(trial.window_number)))
        texts += [(key, _text(value)) for key, value in optional.items() if value]
        return texts

    def _negative_zeros(self, trial: Trial) -> list[str]:
        # An objective that is a metric is told by the metric, unless it is one of several data.
        metrics = {} if trial.outcome.dataset_results else trial.outcome.metrics
        objectives = [
            f"objective {place}"
            for place, (name, value) in enumerate(
                zip(self._metric_names, trial.objective_values, strict=False)
            )
            if not value and is_negative_zero(value) and not is_negative_zero(metrics.get(name))
        ]
        parameters = [
            f"parameter {name}"
            for name, _, _ in self._parameters
            if not trial.parameters[name] and is_negative_zero(trial.parameters[name])
        ]
        steps = [
            f"step {one.bar_count}"
            for one in trial.outcome.intermediate_values
            if is_negative_zero(one.value)
        ]
        return objectives + parameters + steps


def _trial_rows(optuna_study_id: int, numbered: Sequence[tuple[int, Trial]]) -> TableRows:
    return TableRows(
        _TRIALS,
        [
            (
                trial_id,
                trial.number,
                optuna_study_id,
                STATES[trial.state].name,
                _time_text(trial.start_time_ms),
                _time_text(trial.end_time_ms),
            )
            for trial_id, trial in numbered
        ],
    )


def _value_rows(numbered: Sequence[tuple[int, Trial]]) -> TableRows:
    rows: list[tuple[Any, ...]] = []
    for trial_id, trial in numbered:
        for place, value in enumerate(trial.objective_values):
            stored, kind = _value_to_stored(float(value))
            rows.append((trial_id, place, stored, kind.name))
    return TableRows(_VALUES, rows)


def _intermediate_rows(numbered: Sequence[tuple[int, Trial]]) -> TableRows:
    rows: list[tuple[Any, ...]] = []
    for trial_id, trial in numbered:
        for one in trial.outcome.intermediate_values:
            # Optuna's word for undefined is NaN.
            stored, kind = _intermediate_to_stored(math.nan if one.value is None else one.value)
            rows.append((trial_id, one.bar_count, stored, kind.name))
    return TableRows(_INTERMEDIATE_VALUES, rows)


def is_negative_zero(value: Any) -> bool:
    """Tell -0.0 from everything else, None and words included."""
    return isinstance(value, float) and value == 0 and math.copysign(1, value) < 0


def _place(places: dict[str, float], word: str) -> float:
    return places[word]


def _text(value: Any) -> str:
    if not isinstance(value, dict | list | str | int):
        value = dict(value)
    return _encode(value)


@lru_cache(maxsize=16)
def _time_text(time_ms: int) -> str:
    """Return a time as both databases take it and SQLAlchemy writes it to SQLite."""
    return (EPOCH + time_ms * MILLISECOND).isoformat(" ", "microseconds")
