"""Our tables made, and those of an earlier version given what they lack."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn

from services.optimizer.adapters.store.optuna_rows import TRIALS
from services.optimizer.adapters.store.study_tables import LEDGER, METADATA, STUDIES

_NUMBER_INDEX = "assay_trials_number"


def bring_up_to_date(connection: sa.Connection) -> None:
    """Make tables, columns and indexes that are missing, and ledger rows of older studies.

    Only adds, so that it may be repeated, and an earlier version goes on working meanwhile. Optuna
    has no index by which the trials of a page are found; it does not mind ours.
    """
    METADATA.create_all(connection)
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                _add(connection, table, column)
    if _NUMBER_INDEX not in {one["name"] for one in inspector.get_indexes(TRIALS.name)}:
        connection.exec_driver_sql(
            f"CREATE INDEX {_NUMBER_INDEX} ON {TRIALS.name} (study_id, number)"
        )
    _enter_older_studies(connection)


def _add(connection: sa.Connection, table: sa.Table, column: sa.Column[object]) -> None:
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


def _enter_older_studies(connection: sa.Connection) -> None:
    # Under no key: which one it is stands in the spec, which is not the store's to read.
    older = STUDIES.c.ledger_id.is_(None)
    zeros = [sa.literal(0)] * 3 + [sa.literal(0.0)] * 2
    blanks = [sa.literal("")] * 2
    connection.execute(
        LEDGER.insert().from_select(
            [column.name for column in LEDGER.columns],
            sa.select(STUDIES.c.study_id, *blanks, *zeros).where(older),
        )
    )
    connection.execute(sa.update(STUDIES).where(older).values(ledger_id=STUDIES.c.study_id))
