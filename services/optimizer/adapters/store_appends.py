"""Generations appended to a study: trials, events, columns and ledger in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from services.optimizer.adapters import store_leases, trial_columns
from services.optimizer.adapters.bulk_insert import TableRows, insert_rows
from services.optimizer.adapters.optuna_rows import TrialRows
from services.optimizer.adapters.store_ledger import counted
from services.optimizer.adapters.store_studies import (
    insert_events,
    locked_study,
    log_ends_with,
)
from services.optimizer.adapters.study_rows import limits_of, shape_of
from services.optimizer.adapters.study_tables import LEDGER, STUDIES
from services.optimizer.core.ports import Generation, Lease, Standing, StudyShape, StudyState
from services.optimizer.core.trial import Trial

GROUP_TRIALS: Final = 1_024
"""Most trials in a row of columns, so that tables are read in bounded memory."""


def append(
    connection: sa.Connection, lease: Lease, generations: Sequence[Generation], elapsed_ms: int
) -> Standing:
    """Append what is not stored yet.

    Raises:
        LeaseLostError: another owner has claimed the study.
        AssayError: NOT_FOUND/STUDY_UNKNOWN.
        ValueError: a hole in the numbers.
    """
    study = locked_study(connection, lease.study_id)
    store_leases.check(study, lease)
    trials = [
        trial
        for generation in generations
        for trial in generation.trials
        if trial.number >= study.trial_count
    ]
    wanted = range(study.trial_count, study.trial_count + len(trials))
    if [trial.number for trial in trials] != list(wanted):
        raise ValueError(f"trials of {lease.study_id} must go on with number {study.trial_count}")
    events = _fresh_events(connection, study, generations)
    changes: dict[str, Any] = {"elapsed_ms": elapsed_ms}
    if trials:
        changes |= _insert_trials(connection, study, trials)
    if events:
        insert_events(connection, study, events)
        changes["event_count"] = study.event_count + len(events)
    if changes.keys() > {"elapsed_ms"} or not any(one.trials for one in generations):
        connection.execute(sa.update(STUDIES).where(STUDIES.c.study_id == lease.study_id), changes)
    return Standing(StudyState[study.state], limits_of(study.limits_json))


def _fresh_events(
    connection: sa.Connection, study: Any, generations: Sequence[Generation]
) -> list[bytes]:
    """Return the events of the generations that are not stored yet."""
    fresh = [
        event
        for generation in generations
        if not generation.trials or generation.trials[-1].number >= study.trial_count
        for event in generation.events
    ]
    if any(trial.number >= study.trial_count for one in generations for trial in one.trials):
        return fresh
    # Events without trials have no numbers: the log itself tells whether it has them.
    return [] if log_ends_with(connection, study, fresh) else fresh


def _insert_trials(
    connection: sa.Connection, study: Any, trials: Sequence[Trial]
) -> dict[str, Any]:
    """Insert trials; returns what changes in the study's row."""
    shape, rows = _kit_of(study.shape_json)
    trial_ids = _new_trial_ids(connection, len(trials))
    for some in rows.rows(study.optuna_study_id, trial_ids, trials):
        insert_rows(connection, some)
    known = json.loads(study.metric_order_json)
    order = trial_columns.metric_order(known, trials)
    insert_rows(
        connection,
        TableRows(
            "assay_trial_columns",
            ("study_id", "first_number", "trial_count", "base", "metrics"),
            [
                (
                    study.study_id,
                    group[0].number,
                    len(group),
                    trial_columns.pack_base(shape, group),
                    trial_columns.pack_metrics(order, group),
                )
                for group in _groups(trials)
            ],
        ),
    )
    connection.execute(
        sa.update(LEDGER).where(LEDGER.c.ledger_id == study.ledger_id), counted(study, trials)
    )
    changes: dict[str, Any] = {"trial_count": study.trial_count + len(trials)}
    if len(order) > len(known):
        changes["metric_order_json"] = json.dumps(order)
    if study.parameter_order_json is None:
        changes["parameter_order_json"] = json.dumps(list(trials[0].parameters))
    return changes


def _groups(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    for first in range(0, len(trials), GROUP_TRIALS):
        yield trials[first : first + GROUP_TRIALS]


def _new_trial_ids(connection: sa.Connection, count: int) -> list[int]:
    """Return ids that rise with the numbers of the trials, as Optuna expects."""
    if connection.dialect.name == "postgresql":
        ids = connection.execute(_NEXT_TRIAL_IDS, {"count": count})
        return sorted(ids.scalars())
    # What SQLite itself gives; nobody else writes now.
    first = (
        int(
            connection.exec_driver_sql("SELECT coalesce(max(trial_id), 0) FROM trials").scalar_one()
        )
        + 1
    )
    return list(range(first, first + count))


@lru_cache(maxsize=256)
def _kit_of(shape_json: str) -> tuple[StudyShape, TrialRows]:
    shape = shape_of(shape_json)
    return shape, TrialRows(shape)


_NEXT_TRIAL_IDS = sa.text(
    "SELECT nextval(pg_get_serial_sequence('trials', 'trial_id')) FROM generate_series(1, :count)"
)
