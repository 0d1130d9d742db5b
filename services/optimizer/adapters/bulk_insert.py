"""Many rows into one table at once, by each database's fastest way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows to insert.

    Attributes:
        table: The table's name.
        columns: Names of its columns that are given; the others get their defaults.
        rows: Their values, in the database's own types: enumerations by name, times as text.
    """

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def insert_rows(connection: sa.Connection, some: TableRows) -> None:
    """Insert rows within the connection's transaction.

    PostgreSQL takes them by COPY, a tenth of the cost of INSERT; errors there are psycopg's own.
    """
    if not some.rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, some)
    else:
        places = ", ".join("?" * len(some.columns))
        connection.exec_driver_sql(
            f"INSERT INTO {some.table} ({', '.join(some.columns)}) VALUES ({places})",  # noqa: S608 - names are ours
            list(some.rows),
        )


def _copy(connection: sa.Connection, some: TableRows) -> None:
    driver: Any = connection.connection.dbapi_connection
    statement = f"COPY {some.table} ({', '.join(some.columns)}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in some.rows:
            copy.write_row(row)
