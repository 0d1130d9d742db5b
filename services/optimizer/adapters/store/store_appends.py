"""Generations appended to a study: trials, events, columns and ledger in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from services.optimizer.adapters.store import (
    append_statements,
    dataset_ledgers,
    store_leases,
    trial_columns,
)
from services.optimizer.adapters.store.bulk_insert import insert_rows
from services.optimizer.adapters.store.optuna_rows import TrialRows
from services.optimizer.adapters.store.store_ledger import counted
from services.optimizer.adapters.store.store_studies import log_ends_with
from services.optimizer.adapters.store.study_rows import limits_of, shape_of
from services.optimizer.core.records import Generation, Lease, Standing, StudyShape, StudyState
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
    given = [trial for generation in generations for trial in generation.trials]
    study, trial_ids = append_statements.lock(connection, lease.study_id, given)
    store_leases.check(study, lease)
    trials = [trial for trial in given if trial.number >= study.trial_count]
    wanted = range(study.trial_count, study.trial_count + len(trials))
    if [trial.number for trial in trials] != list(wanted):
        raise ValueError(f"trials of {lease.study_id} must go on with number {study.trial_count}")
    if trials or not given:
        events = _fresh_events(study, generations)
        if trials or not log_ends_with(connection, study, events):
            _store(connection, study, trial_ids, trials, events, elapsed_ms)
        else:
            _store(connection, study, (), (), (), elapsed_ms)
    return Standing(StudyState[study.state], limits_of(study.limits_json))


def _fresh_events(study: Any, generations: Sequence[Generation]) -> list[bytes]:
    """Return the events of the generations that are not stored yet."""
    return [
        event
        for generation in generations
        if not generation.trials or generation.trials[-1].number >= study.trial_count
        for event in generation.events
    ]


def _store(
    connection: sa.Connection,
    study: Any,
    trial_ids: Sequence[int],
    trials: Sequence[Trial],
    events: Sequence[bytes],
    elapsed_ms: int,
) -> None:
    shape, rows = _kit_of(study.shape_json)
    insert_rows(connection, list(rows.rows(study.optuna_study_id, trial_ids, trials)))
    dataset_ledgers.count_others(connection, study, shape.datasets, trials)
    order = trial_columns.metric_order(json.loads(study.metric_order_json), trials)
    parameter_order = study.parameter_order_json
    if parameter_order is None and trials:
        parameter_order = json.dumps(list(trials[0].parameters))
    append_statements.finish(
        connection,
        study,
        append_statements.Additions(
            events=events,
            columns=[
                (
                    group[0].number,
                    len(group),
                    trial_columns.pack_base(shape, group),
                    trial_columns.pack_metrics(order, group),
                )
                for group in _groups(trials)
            ],
            counters=counted(study, trials, dataset_ledgers.first_places(shape.datasets)),
            changes={
                "trial_count": study.trial_count + len(trials),
                "event_count": study.event_count + len(events),
                "elapsed_ms": elapsed_ms,
                "metric_order_json": json.dumps(order),
                "parameter_order_json": parameter_order,
            },
        ),
    )


def _groups(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    for first in range(0, len(trials), GROUP_TRIALS):
        yield trials[first : first + GROUP_TRIALS]


@lru_cache(maxsize=256)
def _kit_of(shape_json: str) -> tuple[StudyShape, TrialRows]:
    shape = shape_of(shape_json)
    return shape, TrialRows(shape)
