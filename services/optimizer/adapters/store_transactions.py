"""What the study store does inside one transaction, on a connection it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from services.common.errors import AssayError, Code
from services.optimizer.adapters import optuna_studies
from services.optimizer.adapters.bulk_insert import insert_rows
from services.optimizer.adapters.optuna_rows import TRIALS, TrialRows
from services.optimizer.adapters.study_tables import (
    EVENTS,
    STUDIES,
    record_of,
    row_of,
    shape_of,
    shape_text,
)
from services.optimizer.core.ports import StudyRecord, StudyShape, StudyState
from services.optimizer.core.trial import Trial


def create_study(connection: sa.Connection, record: StudyRecord, shape: StudyShape) -> None:
    """Make a study in Optuna's tables and ours; IntegrityError if its id or request is taken."""
    optuna_study_id = optuna_studies.insert(connection, record.study_id, shape)
    connection.execute(
        STUDIES.insert(),
        {
            **row_of(record),
            "optuna_study_id": optuna_study_id,
            "shape_json": shape_text(shape),
            "trial_count": 0,
            "event_count": 0,
        },
    )


def first_study(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> StudyRecord | None:
    """Return the study a condition on `STUDIES` names, or None."""
    row = connection.execute(sa.select(STUDIES).where(condition)).one_or_none()
    return None if row is None else record_of(row._asdict())


def list_studies(
    connection: sa.Connection, limit: int, offset: int, state: StudyState | None
) -> list[StudyRecord]:
    """Return studies, newest first."""
    query = sa.select(STUDIES).order_by(
        STUDIES.c.create_time_ms.desc(), STUDIES.c.optuna_study_id.desc()
    )
    if state is not None:
        query = query.where(STUDIES.c.state == state.name)
    found = connection.execute(query.limit(limit).offset(offset))
    return [record_of(row._asdict()) for row in found]


def update_study(connection: sa.Connection, record: StudyRecord, events: Sequence[bytes]) -> None:
    """Replace a record and append events, unless the log already ends with them."""
    study = _locked(connection, record.study_id)
    last = read_events(connection, record.study_id, study.event_count - len(events), len(events))
    fresh = () if [event for _, event in last] == list(events) else events
    _insert_events(connection, study, fresh)
    connection.execute(
        sa.update(STUDIES).where(STUDIES.c.study_id == record.study_id),
        {**row_of(record), "event_count": study.event_count + len(fresh)},
    )


def append_generation(
    connection: sa.Connection, study_id: str, trials: Sequence[Trial], events: Sequence[bytes]
) -> None:
    """Append the trials not stored yet, and the events with them; ValueError on a hole."""
    study = _locked(connection, study_id)
    fresh = [trial for trial in trials if trial.number >= study.trial_count]
    if trials and not fresh:
        return
    wanted = range(study.trial_count, study.trial_count + len(fresh))
    if [trial.number for trial in fresh] != list(wanted):
        raise ValueError(f"trials of {study_id} must go on with number {study.trial_count}")
    if fresh:
        _insert_trials(connection, study, fresh)
    _insert_events(connection, study, events)
    changes: dict[str, Any] = {
        "trial_count": study.trial_count + len(fresh),
        "event_count": study.event_count + len(events),
    }
    if fresh and study.parameter_order_json is None:
        changes["parameter_order_json"] = json.dumps(list(fresh[0].parameters))
    connection.execute(sa.update(STUDIES).where(STUDIES.c.study_id == study_id), changes)


def _insert_trials(connection: sa.Connection, study: Any, trials: Sequence[Trial]) -> None:
    rows = _rows_of(study.shape_json)
    ids = connection.execute(_INSERT_TRIALS, rows.trial_rows(study.optuna_study_id, trials))
    details = rows.detail_rows(zip(ids.scalars(), trials, strict=True))
    for table, table_rows in details.items():
        insert_rows(connection, table, table_rows)


def _insert_events(connection: sa.Connection, study: Any, events: Sequence[bytes]) -> None:
    rows = [
        {"study_id": study.study_id, "number": number, "event": event}
        for number, event in enumerate(events, start=study.event_count + 1)
    ]
    insert_rows(connection, EVENTS, rows)


def read_trials(connection: sa.Connection, study_id: str) -> list[Trial]:
    """Return all trials of a study by rising number."""
    study = connection.execute(_SELECT_STUDY, {"study_id": study_id}).one_or_none()
    if study is None or study.parameter_order_json is None:
        return []
    order = json.loads(study.parameter_order_json)
    return _rows_of(study.shape_json).read(connection, study.optuna_study_id, order)


def read_events(
    connection: sa.Connection, study_id: str, after_number: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return events with their numbers after `after_number`."""
    found = connection.execute(
        _SELECT_EVENTS, {"study_id": study_id, "after_number": after_number, "limit": limit}
    )
    return [(number, bytes(event)) for number, event in found]


def delete_study(connection: sa.Connection, study_id: str) -> bool:
    """Delete a study with everything; False if there is none."""
    # Optuna's half may be gone already: its own tools can delete studies.
    study = connection.execute(
        _SELECT_STUDY.with_for_update(), {"study_id": study_id}
    ).one_or_none()
    if study is None:
        return False
    connection.execute(sa.delete(EVENTS).where(EVENTS.c.study_id == study_id))
    connection.execute(sa.delete(STUDIES).where(STUDIES.c.study_id == study_id))
    optuna_studies.delete(connection, study.optuna_study_id)
    return True


def _locked(connection: sa.Connection, study_id: str) -> Any:
    study = connection.execute(_LOCK_STUDY, {"study_id": study_id}).one_or_none()
    if study is None:
        raise AssayError(
            Code.NOT_FOUND,
            "STUDY_UNKNOWN",
            f"no study is called {study_id!r}",
            metadata={"study": study_id, "nearest": ""},
        )
    return study


@lru_cache(maxsize=256)
def _rows_of(shape_json: str) -> TrialRows:
    return TrialRows(shape_of(shape_json))


_SELECT_STUDY = sa.select(
    STUDIES.c.study_id,
    STUDIES.c.optuna_study_id,
    STUDIES.c.shape_json,
    STUDIES.c.parameter_order_json,
    STUDIES.c.trial_count,
    STUDIES.c.event_count,
).where(STUDIES.c.study_id == sa.bindparam("study_id"))
# The row lock that Optuna takes before it numbers a trial, and ours.
_LOCK_STUDY = _SELECT_STUDY.join(
    optuna_studies.STUDIES, optuna_studies.STUDIES.c.study_id == STUDIES.c.optuna_study_id
).with_for_update()
_SELECT_EVENTS = (
    sa.select(EVENTS.c.number, EVENTS.c.event)
    .where(
        EVENTS.c.study_id == sa.bindparam("study_id"),
        EVENTS.c.number > sa.bindparam("after_number"),
    )
    .order_by(EVENTS.c.number)
    .limit(sa.bindparam("limit"))
)
_INSERT_TRIALS = TRIALS.insert().returning(TRIALS.c.trial_id, sort_by_parameter_order=True)
