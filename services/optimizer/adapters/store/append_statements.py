"""The first and the last statement of an append, as few as each database allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.optimizer.adapters.store.bulk_insert import Columns, TableRows, insert_rows
from services.optimizer.adapters.store.store_studies import LOCK_STUDY, insert_events, study_unknown
from services.optimizer.adapters.store.study_tables import COLUMNS, LEDGER, STUDIES
from services.optimizer.core.trial import Trial


@dataclass(frozen=True, slots=True)
class Additions:
    """What an append adds beside Optuna's rows.

    Attributes:
        events: Serialised events.
        columns: For each group of trials its first number, its length, `base` and `metrics`.
        counters: The new counters of `LEDGER`.
        changes: The new values of `STUDIES`.
    """

    events: Sequence[bytes]
    columns: Sequence[tuple[int, int, bytes, bytes]]
    counters: Mapping[str, Any]
    changes: Mapping[str, Any]


def lock(
    connection: sa.Connection, study_id: str, trials: Sequence[Trial]
) -> tuple[Any, list[int]]:
    """Lock a study against all other writers; return its row and ids for those trials it lacks.

    The ids are taken under the lock, so that they rise with the numbers, as Optuna expects.

    Raises:
        AssayError: NOT_FOUND/STUDY_UNKNOWN.
    """
    end = trials[-1].number + 1 if trials else 0
    if connection.dialect.name == "postgresql":
        given = {"study_id": study_id, "given": len(trials), "end_number": end}
        study = connection.execute(_LOCK_WITH_IDS, given).one_or_none()
        ids = [] if study is None else sorted(study.trial_ids)
    else:
        study = connection.execute(LOCK_STUDY, {"study_id": study_id}).one_or_none()
        # What SQLite itself would give; nobody else writes now.
        last = connection.exec_driver_sql("SELECT coalesce(max(trial_id), 0) FROM trials").scalar()
        missing = 0 if study is None else max(0, min(len(trials), end - study.trial_count))
        ids = list(range(int(last or 0) + 1, int(last or 0) + 1 + missing))
    if study is None:
        raise study_unknown(study_id)
    return study, ids


def finish(connection: sa.Connection, study: Any, additions: Additions) -> None:
    """Write everything that is not Optuna's."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_FINISH, _finish_parameters(study, additions))
        return
    insert_events(connection, study, additions.events)
    rows = [(study.study_id, *group) for group in additions.columns]
    insert_rows(connection, [TableRows(_TRIAL_COLUMNS, rows)])
    connection.execute(_UPDATE_LEDGER, {"this_ledger": study.ledger_id, **additions.counters})
    connection.execute(_UPDATE_STUDY, {"this_study": study.study_id, **additions.changes})


def _finish_parameters(study: Any, additions: Additions) -> dict[str, Any]:
    return {
        **{f"ledger_{name}": value for name, value in additions.counters.items()},
        **additions.changes,
        "study_id": study.study_id,
        "ledger_id": study.ledger_id,
        "events_before": study.event_count,
        "events": list(additions.events),
        "first_numbers": [first_number for first_number, _, _, _ in additions.columns],
        "counts": [count for _, count, _, _ in additions.columns],
        "bases": [base for _, _, base, _ in additions.columns],
        "metrics": [metrics for _, _, _, metrics in additions.columns],
    }


_TRIAL_COLUMNS = Columns(
    COLUMNS.name,
    ("study_id", "first_number", "trial_count", "base", "metrics"),
    ("text", "bigint", "int", "bytea", "bytea"),
)
_UPDATE_LEDGER = sa.update(LEDGER).where(LEDGER.c.ledger_id == sa.bindparam("this_ledger"))
_UPDATE_STUDY = sa.update(STUDIES).where(STUDIES.c.study_id == sa.bindparam("this_study"))

_LOCKED = LOCK_STUDY.cte("locked").prefix_with("MATERIALIZED", dialect="postgresql")
_NEW_IDS = (
    sa.select(sa.func.nextval(sa.func.pg_get_serial_sequence("trials", "trial_id")))
    .select_from(
        sa.func.generate_series(
            1,
            sa.func.least(
                sa.bindparam("given", type_=sa.BigInteger),
                sa.bindparam("end_number", type_=sa.BigInteger) - _LOCKED.c.trial_count,
            ),
        )
    )
    .scalar_subquery()
)
_LOCK_WITH_IDS = sa.select(_LOCKED, sa.func.array(_NEW_IDS).label("trial_ids"))

# One statement: each costs as much as ten rows.
_FINISH: Final = """
WITH logged AS (
    INSERT INTO assay_study_events (study_id, number, event)
    SELECT %(study_id)s, %(events_before)s + place, event
    FROM unnest(%(events)b::bytea[]) WITH ORDINALITY AS fresh (event, place)
), packed AS (
    INSERT INTO assay_trial_columns (study_id, first_number, trial_count, base, metrics)
    SELECT %(study_id)s, first_number, trial_count, base, metrics
    FROM unnest(
        %(first_numbers)s::bigint[], %(counts)s::int[], %(bases)b::bytea[], %(metrics)b::bytea[]
    ) AS fresh (first_number, trial_count, base, metrics)
), counted AS (
    UPDATE assay_ledger SET
        trial_count = %(ledger_trial_count)s,
        evaluated_trial_count = %(ledger_evaluated_trial_count)s,
        sharpe_trial_count = %(ledger_sharpe_trial_count)s,
        sharpe_sum = %(ledger_sharpe_sum)s,
        sharpe_square_sum = %(ledger_sharpe_square_sum)s
    WHERE ledger_id = %(ledger_id)s
)
UPDATE assay_studies SET
    trial_count = %(trial_count)s,
    event_count = %(event_count)s,
    elapsed_ms = %(elapsed_ms)s,
    metric_order_json = %(metric_order_json)s,
    parameter_order_json = %(parameter_order_json)s
WHERE study_id = %(study_id)s
"""
