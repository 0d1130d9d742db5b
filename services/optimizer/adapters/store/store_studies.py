"""Studies and their events: what the store does with them inside one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from services.common.errors import AssayError, Code
from services.optimizer.adapters.store import dataset_ledgers, optuna_studies, store_leases
from services.optimizer.adapters.store.bulk_insert import Columns, TableRows, insert_rows
from services.optimizer.adapters.store.prior_trials import prior_text
from services.optimizer.adapters.store.store_callers import check_room
from services.optimizer.adapters.store.study_rows import (
    created_row,
    limits_text,
    record_of,
    shape_text,
    updated_row,
)
from services.optimizer.adapters.store.study_tables import COLUMNS, EVENTS, LEDGER, PRIORS, STUDIES
from services.optimizer.core.records import Lease, StudyRecord, StudyShape, StudyState
from services.optimizer.core.study.lifecycle import FINAL_STATES, state_wrong
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Trial


def create_study(
    connection: sa.Connection,
    record: StudyRecord,
    shape: StudyShape,
    priors: Sequence[Trial],
    caller_limit: int | None,
) -> None:
    """Make a study in Optuna's tables and ours; IntegrityError if its id or request is taken.

    Raises:
        AssayError: RESOURCE_EXHAUSTED/TOO_MANY_STUDIES.
    """
    check_room(connection, record, caller_limit)
    optuna_study_id = optuna_studies.insert(connection, record.study_id, shape)
    ledger_id = uuid.uuid4().hex
    connection.execute(
        STUDIES.insert(),
        {
            **created_row(record),
            "optuna_study_id": optuna_study_id,
            "shape_json": shape_text(shape),
            "trial_count": 0,
            "event_count": 0,
            "ledger_id": ledger_id,
        },
    )
    connection.execute(
        LEDGER.insert(), dataset_ledgers.new_rows(ledger_id, record.ledger_key, shape.datasets)
    )
    rows = [(record.study_id, place, prior_text(trial)) for place, trial in enumerate(priors)]
    insert_rows(connection, [TableRows(_PRIOR_COLUMNS, rows)])


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


def state_counts(connection: sa.Connection) -> dict[StudyState, int]:
    """Return how many studies there are by state; states without one are left out."""
    query = sa.select(STUDIES.c.state, sa.func.count()).group_by(STUDIES.c.state)
    return {StudyState[name]: count for name, count in connection.execute(query)}


def update_study(
    connection: sa.Connection,
    record: StudyRecord,
    events: Sequence[bytes],
    expected: Collection[StudyState],
    lease: Lease | None,
    caller_limit: int | None,
) -> bool:
    """Write a record's changes and events where its state allows it.

    Raises:
        LeaseLostError: another owner has claimed the study.
        AssayError: NOT_FOUND/STUDY_UNKNOWN, RESOURCE_EXHAUSTED/TOO_MANY_STUDIES.
    """
    study = connection.execute(_LOCK_RECORD, {"study_id": record.study_id}).one_or_none()
    if study is None:
        raise study_unknown(record.study_id)
    if lease is not None:
        store_leases.check(study, lease)
    told = study.state == record.state.name and log_ends_with(connection, study, events)
    if StudyState[study.state] not in expected:
        return told
    if record.state is StudyState.PENDING:
        check_room(connection, record, caller_limit)
    fresh = () if told else events
    insert_events(connection, study, fresh)
    connection.execute(
        sa.update(STUDIES).where(STUDIES.c.study_id == record.study_id),
        {
            **updated_row(record),
            **store_leases.given_up(record.state),
            "event_count": study.event_count + len(fresh),
        },
    )
    return True


def set_limits(connection: sa.Connection, study_id: str, limits: Limits) -> StudyRecord:
    """Replace a study's limits."""
    row = connection.execute(
        sa.update(STUDIES)
        .where(STUDIES.c.study_id == study_id)
        .values(limits_json=limits_text(limits))
        .returning(STUDIES)
    ).one_or_none()
    if row is None:
        raise study_unknown(study_id)
    return record_of(row._asdict())


def delete_study(connection: sa.Connection, study_id: str) -> bool:
    """Delete an ended study with everything but its ledger; False if there is none.

    Raises:
        AssayError: FAILED_PRECONDITION/STUDY_STATE_WRONG for one that has not ended.
    """
    # Optuna's half may be gone already: its own tools can delete studies.
    study = connection.execute(
        sa.select(STUDIES.c.optuna_study_id, STUDIES.c.state)
        .where(STUDIES.c.study_id == study_id)
        .with_for_update()
    ).one_or_none()
    if study is None:
        return False
    state = StudyState[study.state]
    if state not in FINAL_STATES:
        raise state_wrong(study_id, state, "be deleted before it is stopped")
    for table in (EVENTS, PRIORS, COLUMNS, STUDIES):
        connection.execute(sa.delete(table).where(table.c.study_id == study_id))
    optuna_studies.delete(connection, study.optuna_study_id)
    return True


def read_events(
    connection: sa.Connection, study_id: str, after_number: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return events with their numbers after `after_number`."""
    found = connection.execute(
        _SELECT_EVENTS, {"study_id": study_id, "after_number": after_number, "limit": limit}
    )
    return [(number, bytes(event)) for number, event in found]


def insert_events(connection: sa.Connection, study: Any, events: Sequence[bytes]) -> None:
    """Append events to a locked study's log; its count is the caller's to change."""
    numbered = enumerate(events, start=study.event_count + 1)
    rows = [(study.study_id, number, event) for number, event in numbered]
    insert_rows(connection, [TableRows(_EVENT_COLUMNS, rows)])


def log_ends_with(connection: sa.Connection, study: Any, events: Sequence[bytes]) -> bool:
    """Tell whether the last events of a locked study are these."""
    if not events:
        return True
    last = read_events(connection, study.study_id, study.event_count - len(events), len(events))
    return [event for _, event in last] == list(events)


def study_unknown(study_id: str) -> AssayError:
    """Return NOT_FOUND/STUDY_UNKNOWN."""
    return AssayError(
        Code.NOT_FOUND,
        "STUDY_UNKNOWN",
        f"no study is called {study_id!r}",
        metadata={"study": study_id, "nearest": ""},
    )


LOCK_STUDY = (
    sa.select(
        STUDIES.c.study_id,
        STUDIES.c.optuna_study_id,
        STUDIES.c.state,
        STUDIES.c.limits_json,
        STUDIES.c.lease_epoch,
        STUDIES.c.shape_json,
        STUDIES.c.parameter_order_json,
        STUDIES.c.metric_order_json,
        STUDIES.c.trial_count,
        STUDIES.c.event_count,
        STUDIES.c.ledger_id,
        LEDGER.c.trial_count.label("ledger_trial_count"),
        LEDGER.c.evaluated_trial_count,
        LEDGER.c.sharpe_trial_count,
        LEDGER.c.sharpe_sum,
        LEDGER.c.sharpe_square_sum,
    )
    .join(optuna_studies.STUDIES, optuna_studies.STUDIES.c.study_id == STUDIES.c.optuna_study_id)
    .join(LEDGER, LEDGER.c.ledger_id == STUDIES.c.ledger_id)
    .where(STUDIES.c.study_id == sa.bindparam("study_id"))
    .with_for_update()
)
"""Selects and locks a study, with the row lock that Optuna takes before it numbers a trial."""

# Optuna's half may be gone already: such a study must still come to an end.
_LOCK_RECORD = (
    sa.select(STUDIES.c.study_id, STUDIES.c.state, STUDIES.c.lease_epoch, STUDIES.c.event_count)
    .where(STUDIES.c.study_id == sa.bindparam("study_id"))
    .with_for_update()
)

_SELECT_EVENTS = (
    sa.select(EVENTS.c.number, EVENTS.c.event)
    .where(
        EVENTS.c.study_id == sa.bindparam("study_id"),
        EVENTS.c.number > sa.bindparam("after_number"),
    )
    .order_by(EVENTS.c.number)
    .limit(sa.bindparam("limit"))
)
_EVENT_COLUMNS = Columns(EVENTS.name, ("study_id", "number", "event"), ("text", "bigint", "bytea"))
_PRIOR_COLUMNS = Columns(PRIORS.name, ("study_id", "place", "trial_json"), ("text", "int", "text"))
