"""Trials as the rows Optuna 5.0 writes, and back, bit by bit.

The tables are Optuna's own and private to it, so its version is pinned and a contract test compares
what this module writes with what Optuna writes. Rows are written and read in bulk: Optuna itself
needs 19 statements per trial.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState as OptunaState

from services.optimizer.adapters.optuna_terms import (
    CONSTRAINT_PREFIX,
    constraint_names,
    constraints_of,
    distribution_of,
)
from services.optimizer.core.ports import StudyShape
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState, Value

TRIALS: sa.Table = models.TrialModel.__table__
PARAMS: sa.Table = models.TrialParamModel.__table__
VALUES: sa.Table = models.TrialValueModel.__table__
USER_ATTRIBUTES: sa.Table = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRIBUTES: sa.Table = models.TrialSystemAttributeModel.__table__

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_MILLISECOND = timedelta(milliseconds=1)
_STATES = {TrialState.COMPLETE: OptunaState.COMPLETE, TrialState.FAILED: OptunaState.FAIL}
_OUR_STATES = {theirs: ours for ours, theirs in _STATES.items()}


class TrialRows:
    """Turns the trials of one study into rows and back."""

    def __init__(self, shape: StudyShape) -> None:
        self._kinds = {parameter.name: parameter for parameter in shape.searched}
        self._distributions = {
            parameter.name: distribution_of(parameter) for parameter in shape.searched
        }
        self._distribution_texts = {
            name: distribution_to_json(distribution)
            for name, distribution in self._distributions.items()
        }
        self._metric_names = shape.metric_names
        self._constraint_names = constraint_names(shape.constraints)

    def trial_rows(self, optuna_study_id: int, trials: Sequence[Trial]) -> list[Row]:
        """Return the rows of `TRIALS`, whose ids the database gives."""
        return [
            {
                "number": trial.number,
                "study_id": optuna_study_id,
                "state": _STATES[trial.state],
                "datetime_start": _EPOCH + trial.start_time_ms * _MILLISECOND,
                "datetime_complete": _EPOCH + trial.end_time_ms * _MILLISECOND,
            }
            for trial in trials
        ]

    def detail_rows(self, numbered: Iterable[tuple[int, Trial]]) -> dict[sa.Table, list[Row]]:
        """Return the rows of the other tables for pairs of Optuna's trial id and trial."""
        rows: dict[sa.Table, list[Row]] = defaultdict(list)
        for trial_id, trial in numbered:
            rows[PARAMS] += [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(trial.parameters[name]),
                    "distribution_json": self._distribution_texts[name],
                }
                for name, distribution in self._distributions.items()
            ]
            rows[VALUES] += [
                _value_row(trial_id, place, value)
                for place, value in enumerate(trial.objective_values)
            ]
            rows[USER_ATTRIBUTES] += [
                {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
                for key, value in self._attributes(trial).items()
            ]
            rows[SYSTEM_ATTRIBUTES] += [
                {
                    "trial_id": trial_id,
                    "key": f"{CONSTRAINT_PREFIX}{name}",
                    "value_json": json.dumps(value),
                }
                for name, value in constraints_of(trial, self._constraint_names).items()
            ]
        return rows

    def _attributes(self, trial: Trial) -> dict[str, Any]:
        fixed = {name: value for name, value in trial.parameters.items() if name not in self._kinds}
        optional = {
            "metrics": dict(trial.outcome.metrics),
            "undefined": dict(trial.outcome.undefined),
            "failure_reason": trial.outcome.failure_reason,
            "failure_message": trial.outcome.failure_message,
            "fixed_parameters": fixed,
        }
        return {
            "generation_number": trial.generation_number,
            "feasible": trial.feasible,
            **{key: value for key, value in optional.items() if value},
        }

    def read(
        self, connection: sa.Connection, optuna_study_id: int, order: Sequence[str]
    ) -> list[Trial]:
        """Return all trials of a study by rising number, their parameters in the given order."""
        study = {"study_id": optuna_study_id}
        params: dict[int, dict[str, Value]] = defaultdict(dict)
        for trial_id, name, internal in connection.execute(_SELECT_PARAMS, study).all():
            params[trial_id][name] = self._distributions[name].to_external_repr(internal)
        values: dict[int, list[float]] = defaultdict(list)
        for trial_id, value, kind in connection.execute(_SELECT_VALUES, study).all():
            number = models.TrialValueModel.stored_repr_to_value(value, kind)
            values[trial_id].append(number)
        attributes: dict[int, dict[str, Any]] = defaultdict(dict)
        for trial_id, key, text in connection.execute(_SELECT_ATTRIBUTES, study).all():
            attributes[trial_id][key] = json.loads(text)
        constraints: dict[int, dict[str, float]] = defaultdict(dict)
        for trial_id, key, text in connection.execute(_SELECT_CONSTRAINTS, study).all():
            constraints[trial_id][key.removeprefix(CONSTRAINT_PREFIX)] = json.loads(text)
        return [
            self._trial(
                row,
                _ordered({**params[row.trial_id], **_fixed(attributes[row.trial_id])}, order),
                values[row.trial_id],
                constraints[row.trial_id],
                attributes[row.trial_id],
            )
            for row in connection.execute(_SELECT_TRIALS, study).all()
        ]

    def _trial(
        self,
        row: Any,
        point: Point,
        objective_values: Sequence[float],
        constraints: Mapping[str, float],
        attributes: Mapping[str, Any],
    ) -> Trial:
        metrics: dict[str, float] = attributes.get("metrics", {})
        exact = [
            _signed(value, metrics.get(name))
            for name, value in zip(self._metric_names, objective_values, strict=False)
        ]
        known = [constraints[name] for name in self._constraint_names if name in constraints]
        return Trial(
            number=row.number,
            generation_number=attributes["generation_number"],
            parameters=point,
            state=_OUR_STATES[row.state],
            objective_values=tuple(exact),
            constraint_values=tuple(known),
            feasible=attributes["feasible"],
            outcome=Outcome(
                metrics=metrics,
                undefined=attributes.get("undefined", {}),
                failure_reason=attributes.get("failure_reason", ""),
                failure_message=attributes.get("failure_message", ""),
            ),
            start_time_ms=(row.datetime_start - _EPOCH) // _MILLISECOND,
            end_time_ms=(row.datetime_complete - _EPOCH) // _MILLISECOND,
        )


def _value_row(trial_id: int, place: int, value: float) -> Row:
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"trial_id": trial_id, "objective": place, "value": stored, "value_type": kind}


def _signed(value: float, metric: float | None) -> float:
    """Return an objective's value with the sign of zero, which SQLite drops and JSON keeps."""
    return value if metric is None or metric != value else metric


def _fixed(attributes: Mapping[str, Any]) -> dict[str, Value]:
    fixed: dict[str, Value] = attributes.get("fixed_parameters", {})
    return fixed


def _ordered(point: Mapping[str, Value], order: Sequence[str]) -> Point:
    return {name: point[name] for name in order}


_THIS_STUDY = sa.and_(TRIALS.c.study_id == sa.bindparam("study_id"))
_SELECT_TRIALS = (
    sa.select(
        TRIALS.c.trial_id,
        TRIALS.c.number,
        TRIALS.c.state,
        TRIALS.c.datetime_start,
        TRIALS.c.datetime_complete,
    )
    .where(_THIS_STUDY)
    .order_by(TRIALS.c.number)
)
_SELECT_PARAMS = (
    sa.select(PARAMS.c.trial_id, PARAMS.c.param_name, PARAMS.c.param_value)
    .join(TRIALS, TRIALS.c.trial_id == PARAMS.c.trial_id)
    .where(_THIS_STUDY)
)
_SELECT_VALUES = (
    sa.select(VALUES.c.trial_id, VALUES.c.value, VALUES.c.value_type)
    .join(TRIALS, TRIALS.c.trial_id == VALUES.c.trial_id)
    .where(_THIS_STUDY)
    .order_by(VALUES.c.trial_id, VALUES.c.objective)
)
_SELECT_ATTRIBUTES = (
    sa.select(USER_ATTRIBUTES.c.trial_id, USER_ATTRIBUTES.c.key, USER_ATTRIBUTES.c.value_json)
    .join(TRIALS, TRIALS.c.trial_id == USER_ATTRIBUTES.c.trial_id)
    .where(_THIS_STUDY)
)
_SELECT_CONSTRAINTS = (
    sa.select(SYSTEM_ATTRIBUTES.c.trial_id, SYSTEM_ATTRIBUTES.c.key, SYSTEM_ATTRIBUTES.c.value_json)
    .join(TRIALS, TRIALS.c.trial_id == SYSTEM_ATTRIBUTES.c.trial_id)
    .where(_THIS_STUDY, SYSTEM_ATTRIBUTES.c.key.startswith(CONSTRAINT_PREFIX))
)
