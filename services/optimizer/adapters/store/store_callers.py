"""How many unfinished studies a caller has, and no more than may be."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from services.optimizer.adapters.store.study_tables import STUDIES
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.study.lifecycle import FINAL_STATES, too_many_studies

_LOCK: Final = 0x0A55A8
"""First half of PostgreSQL's advisory lock of a caller; the other is made of its name."""

_LOCK_SECONDS: Final = 2
"""How long that lock is waited for. A replica that was halted while it held it must not keep the
others from renewing their leases, which they write one after the other with everything else."""

_UNFINISHED: Final = tuple(state.name for state in StudyState if state not in FINAL_STATES)


def unfinished_count(connection: sa.Connection, caller: str, but: str = "") -> int:
    """Return how many studies of a caller have not ended, one of them left out."""
    own = STUDIES.c.caller == caller if caller else STUDIES.c.caller.is_(None)
    query = sa.select(sa.func.count()).where(
        own, STUDIES.c.state.in_(_UNFINISHED), STUDIES.c.study_id != but
    )
    return int(connection.execute(query).scalar_one())


def check_room(connection: sa.Connection, record: StudyRecord, limit: int | None) -> None:
    """Refuse a study beside `limit` unfinished ones of its caller.

    Nobody else is let in for the same caller before the transaction ends.

    Raises:
        AssayError: RESOURCE_EXHAUSTED/TOO_MANY_STUDIES.
        sqlalchemy.exc.OperationalError: somebody else is let in for that long.
    """
    if limit is None:
        return
    if connection.dialect.name == "postgresql":
        # SQLite has one writer anyway.
        name = sa.func.hashtext(sa.literal(record.caller, sa.Text))
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK, name)))
        connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
    if unfinished_count(connection, record.caller, record.study_id) >= limit:
        raise too_many_studies(record.caller, limit)
