"""Leases: which replica may write a study, by the database's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from services.optimizer.adapters.store.database_clock import NowMs
from services.optimizer.adapters.store.study_rows import record_of
from services.optimizer.adapters.store.study_tables import STUDIES
from services.optimizer.core.records import Lease, LeaseLostError, StudyRecord, StudyState
from services.optimizer.core.study.lifecycle import FINAL_STATES

_NO_LEASE: Final = {"lease_expire_ms": None}
_WAITING: Final = {"lease_expire_ms": None, "owner": ""}
_UNFINISHED = sorted(state.name for state in set(StudyState) - FINAL_STATES)


def claim(
    connection: sa.Connection, owner: str, lease_ms: int, most: int, study_id: str | None
) -> list[StudyRecord]:
    """Take over unfinished studies that nobody has, the oldest first."""
    query = (
        sa.select(STUDIES.c.study_id)
        .where(
            STUDIES.c.state.in_(_UNFINISHED),
            sa.or_(STUDIES.c.lease_expire_ms.is_(None), NowMs() >= STUDIES.c.lease_expire_ms),
        )
        .order_by(STUDIES.c.create_time_ms, STUDIES.c.optuna_study_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    if study_id is not None:
        query = query.where(STUDIES.c.study_id == study_id)
    free = connection.execute(query).scalars().all()
    if not free:
        return []
    claimed = connection.execute(
        sa.update(STUDIES)
        .where(STUDIES.c.study_id.in_(free))
        .values(
            owner=owner,
            lease_epoch=STUDIES.c.lease_epoch + 1,
            lease_expire_ms=NowMs() + lease_ms,
        )
        .returning(STUDIES)
    )
    records = {row.study_id: record_of(row._asdict()) for row in claimed}
    return [records[one] for one in free]


def renew(connection: sa.Connection, leases: Sequence[Lease], lease_ms: int) -> list[StudyRecord]:
    """Prolong leases; return the studies of those that still hold, in the order of the leases."""
    if not leases:
        return []
    renewed = connection.execute(
        sa.update(STUDIES)
        .where(_held(leases))
        .values(lease_expire_ms=NowMs() + lease_ms)
        .returning(STUDIES)
    )
    records = {row.study_id: record_of(row._asdict()) for row in renewed}
    return [records[lease.study_id] for lease in leases if lease.study_id in records]


def release(connection: sa.Connection, leases: Sequence[Lease]) -> None:
    """Give leases up; those that do not hold any more are left alone."""
    if leases:
        connection.execute(sa.update(STUDIES).where(_held(leases)).values(_WAITING))


def check(row: Any, lease: Lease) -> None:
    """Raise LeaseLostError unless a study's locked row is still under this lease."""
    if row.lease_epoch != lease.epoch:
        raise LeaseLostError(f"study {lease.study_id!r} is another owner's since")


def given_up(state: StudyState) -> dict[str, Any]:
    """Return the columns that a study loses with its lease where it enters a state."""
    if state is StudyState.PENDING:
        return dict(_WAITING)
    return dict(_NO_LEASE) if state in FINAL_STATES else {}


def _held(leases: Sequence[Lease]) -> sa.ColumnElement[bool]:
    wanted = [(lease.study_id, lease.epoch) for lease in leases]
    return sa.and_(
        STUDIES.c.lease_expire_ms.is_not(None),
        sa.tuple_(STUDIES.c.study_id, STUDIES.c.lease_epoch).in_(wanted),
    )
