"""Trials read back from Optuna's rows, exactly as `optuna_rows` wrote them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from optuna.storages._rdb import models

from services.optimizer.adapters.optuna_terms import (
    CONSTRAINT_PREFIX,
    constraint_names,
    distribution_of,
)
from services.optimizer.adapters.store.dataset_results import DATASET_RESULTS, unpacked
from services.optimizer.adapters.store.optuna_rows import (
    EPOCH,
    INTERMEDIATE_VALUES,
    MILLISECOND,
    NEGATIVE_ZEROS,
    PARAMS,
    STATES,
    SYSTEM_ATTRIBUTES,
    TRIALS,
    USER_ATTRIBUTES,
    VALUES,
)
from services.optimizer.core.records import StudyShape
from services.optimizer.core.trial import IntermediateValue, Outcome, Trial, TrialState, Value

PAGE_TRIALS: Final = 500
"""Trials whose rows are read at once."""

_OUR_STATES = {theirs: ours for ours, theirs in STATES.items()}
_decode = json.JSONDecoder().raw_decode
_Texts = dict[int, dict[str, Any]]


class TrialReader:
    """Reads the trials of one study."""

    def __init__(
        self,
        connection: sa.Connection,
        optuna_study_id: int,
        shape: StudyShape,
        order: Sequence[str],
    ) -> None:
        """Bind a study.

        Args:
            connection: Where to read.
            optuna_study_id: Optuna's id of the study.
            shape: The study's shape.
            order: The parameters' names in the order of the trials' points.
        """
        self._connection = connection
        self._study_id = optuna_study_id
        self._external = {one.name: distribution_of(one).to_external_repr for one in shape.searched}
        self._metric_names = shape.metric_names
        self._constraint_names = constraint_names(shape.constraints)
        self._order = order
        if connection.dialect.name == "postgresql":
            # Of tables that have just grown the planner knows nothing, and reads them whole.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")

    def pages(self, first_number: int, end_number: int) -> Iterator[list[Trial]]:
        """Yield the trials from a number on and before another, by rising number, in pages."""
        for first in range(first_number, end_number, PAGE_TRIALS):
            page = self._read(range(first, min(first + PAGE_TRIALS, end_number)))
            if page:
                yield page

    def numbered(self, numbers: Sequence[int]) -> list[Trial]:
        """Return the trials with these numbers, in this order, as far as there are any."""
        wanted = sorted(set(numbers))
        found = {
            trial.number: trial
            for first in range(0, len(wanted), PAGE_TRIALS)
            for trial in self._read(wanted[first : first + PAGE_TRIALS])
        }
        return [found[number] for number in numbers if number in found]

    def _read(self, numbers: Sequence[int]) -> list[Trial]:
        rows = self._connection.execute(
            _SELECT_TRIALS, {"study_id": self._study_id, "numbers": numbers}
        ).all()
        if not rows:
            return []
        ids = [row.trial_id for row in rows]
        params = self._texts(_SELECT_PARAMS, ids)
        attributes = self._texts(_SELECT_ATTRIBUTES, ids)
        constraints = self._texts(_SELECT_CONSTRAINTS, ids)
        values: dict[int, list[float]] = defaultdict(list)
        for trial_id, value, kind in self._connection.execute(_SELECT_VALUES, {"ids": ids}).all():
            values[trial_id].append(models.TrialValueModel.stored_repr_to_value(value, kind))
        steps: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for trial_id, step, value, kind in self._connection.execute(
            _SELECT_INTERMEDIATE_VALUES, {"ids": ids}
        ).all():
            number = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(
                value, kind
            )
            steps[trial_id].append((step, number))
        return [
            self._trial(
                row,
                params[row.trial_id],
                {key: _decode(text)[0] for key, text in attributes[row.trial_id].items()},
                {key: _decode(text)[0] for key, text in constraints[row.trial_id].items()},
                values[row.trial_id],
                steps[row.trial_id],
            )
            for row in rows
        ]

    def _texts(self, query: sa.Select[Any], ids: Sequence[int]) -> _Texts:
        found: _Texts = defaultdict(dict)
        for trial_id, key, value in self._connection.execute(query, {"ids": ids}).all():
            found[trial_id][key] = value
        return found

    def _trial(
        self,
        row: Any,
        params: Mapping[str, float],
        attributes: Mapping[str, Any],
        constraints: Mapping[str, float],
        values: Sequence[float],
        steps: Sequence[tuple[int, float]],
    ) -> Trial:
        metrics: dict[str, float] = attributes.get("metrics", {})
        results = unpacked(attributes.get(DATASET_RESULTS, {}))
        signs = frozenset(attributes.get(NEGATIVE_ZEROS, ()))
        point: dict[str, Value] = attributes.get("fixed_parameters", {})
        for name, internal in params.items():
            external = self._external[name](internal)
            point[name] = -0.0 if f"parameter {name}" in signs else external
        names = (CONSTRAINT_PREFIX + name for name in self._constraint_names)
        state = _OUR_STATES[row.state]
        return Trial(
            number=row.number,
            generation_number=attributes["generation_number"],
            parameters={name: point[name] for name in self._order},
            state=state,
            objective_values=self._objective_values(values, {} if results else metrics, signs),
            constraint_values=tuple(constraints[name] for name in names if name in constraints),
            feasible=attributes["feasible"],
            outcome=Outcome(
                metrics=metrics,
                undefined=attributes.get("undefined", {}),
                failure_reason=attributes.get("failure_reason", ""),
                failure_message=attributes.get("failure_message", ""),
                intermediate_values=tuple(_intermediate(step, one, signs) for step, one in steps),
                pruned=state is TrialState.PRUNED,
                evaluated_bar_count=attributes.get("evaluated_bar_count", 0),
                dataset_results=results,
            ),
            start_time_ms=(row.datetime_start - EPOCH) // MILLISECOND,
            end_time_ms=(row.datetime_complete - EPOCH) // MILLISECOND,
            reused_trial_number=attributes.get("reused_trial_number"),
            window_number=attributes.get("window_number"),
        )

    def _objective_values(
        self, values: Sequence[float], metrics: Mapping[str, float], signs: frozenset[str]
    ) -> tuple[float, ...]:
        """Return the values with the signs of their zeros, which SQLite drops and JSON keeps."""
        named = enumerate(zip(self._metric_names, values, strict=False))
        return tuple(
            value or _zero(value, f"objective {place}" in signs, metrics.get(name))
            for place, (name, value) in named
        )


def _zero(stored: float, negative: bool, metric: float | None) -> float:
    if negative:
        return -0.0
    return metric if metric == 0 else stored


def _intermediate(step: int, value: float, signs: frozenset[str]) -> IntermediateValue:
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return IntermediateValue(step, None)
    return IntermediateValue(step, -0.0 if f"step {step}" in signs else value)


def _whole_numbers(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, expanding=True, literal_execute=True, type_=sa.Integer)


_SELECT_TRIALS = (
    sa.select(
        TRIALS.c.trial_id,
        TRIALS.c.number,
        TRIALS.c.state,
        TRIALS.c.datetime_start,
        TRIALS.c.datetime_complete,
    )
    .where(
        TRIALS.c.study_id == sa.bindparam("study_id"),
        TRIALS.c.number.in_(_whole_numbers("numbers")),
    )
    .order_by(TRIALS.c.number)
)
_SELECT_PARAMS = sa.select(PARAMS.c.trial_id, PARAMS.c.param_name, PARAMS.c.param_value).where(
    PARAMS.c.trial_id.in_(_whole_numbers("ids"))
)
_SELECT_VALUES = (
    sa.select(VALUES.c.trial_id, VALUES.c.value, VALUES.c.value_type)
    .where(VALUES.c.trial_id.in_(_whole_numbers("ids")))
    .order_by(VALUES.c.trial_id, VALUES.c.objective)
)
_SELECT_INTERMEDIATE_VALUES = (
    sa.select(
        INTERMEDIATE_VALUES.c.trial_id,
        INTERMEDIATE_VALUES.c.step,
        INTERMEDIATE_VALUES.c.intermediate_value,
        INTERMEDIATE_VALUES.c.intermediate_value_type,
    )
    .where(INTERMEDIATE_VALUES.c.trial_id.in_(_whole_numbers("ids")))
    .order_by(INTERMEDIATE_VALUES.c.trial_id, INTERMEDIATE_VALUES.c.step)
)
_SELECT_ATTRIBUTES = sa.select(
    USER_ATTRIBUTES.c.trial_id, USER_ATTRIBUTES.c.key, USER_ATTRIBUTES.c.value_json
).where(USER_ATTRIBUTES.c.trial_id.in_(_whole_numbers("ids")))
_SELECT_CONSTRAINTS = sa.select(
    SYSTEM_ATTRIBUTES.c.trial_id, SYSTEM_ATTRIBUTES.c.key, SYSTEM_ATTRIBUTES.c.value_json
).where(
    SYSTEM_ATTRIBUTES.c.trial_id.in_(_whole_numbers("ids")),
    SYSTEM_ATTRIBUTES.c.key.startswith(CONSTRAINT_PREFIX),
)
