"""Many rows into several tables at once, by each database's fastest way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

ARRAY_ROWS: Final = 400
"""Most rows that PostgreSQL takes faster as arrays, in one statement, than by COPY, in one each."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table that are given; the others get their defaults.

    Attributes:
        table: The table's name.
        names: The columns' names.
        types: PostgreSQL's names of their types.
    """

    table: str
    names: tuple[str, ...]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows to insert.

    Attributes:
        into: Where.
        rows: Their values, in the database's own types: enumerations by name, times as text.
    """

    into: Columns
    rows: Sequence[tuple[Any, ...]]


def insert_rows(connection: sa.Connection, tables: Sequence[TableRows]) -> None:
    """Insert rows within the connection's transaction, those of parents before those of children.

    On PostgreSQL many go by COPY, whose errors are psycopg's own, a tenth of the cost of INSERT.
    """
    row_count = sum(len(some.rows) for some in tables)
    if connection.dialect.name != "postgresql":
        for some in tables:
            _insert_many(connection, some)
    elif row_count > ARRAY_ROWS:
        for some in tables:
            _copy(connection, some)
    elif row_count:
        statement = _array_statement(tuple(some.into for some in tables))
        connection.exec_driver_sql(statement, _arrays(tables))


def _insert_many(connection: sa.Connection, some: TableRows) -> None:
    if some.rows:
        names, places = ", ".join(some.into.names), ", ".join("?" * len(some.into.names))
        connection.exec_driver_sql(
            f"INSERT INTO {some.into.table} ({names}) VALUES ({places})",  # noqa: S608 - names are ours
            list(some.rows),
        )


def _copy(connection: sa.Connection, some: TableRows) -> None:
    if not some.rows:
        return
    driver: Any = connection.connection.dbapi_connection
    statement = f"COPY {some.into.table} ({', '.join(some.into.names)}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in some.rows:
            copy.write_row(row)


@lru_cache(maxsize=16)
def _array_statement(tables: tuple[Columns, ...]) -> str:
    """Return one statement for all tables; references are checked at its end."""
    parts = []
    for place, into in enumerate(tables):
        names = ", ".join(into.names)
        arrays = ", ".join(f"%({place}_{at})s::{kind}[]" for at, kind in enumerate(into.types))
        parts.append(
            f"rows_{place} AS (INSERT INTO {into.table} ({names}) SELECT * FROM unnest({arrays}))"  # noqa: S608 - names are ours
        )
    return f"WITH {', '.join(parts)} SELECT 1"


def _arrays(tables: Sequence[TableRows]) -> Mapping[str, str]:
    return {
        f"{place}_{at}": f"{{{','.join([_CELLS[type(row[at])](row[at]) for row in some.rows])}}}"
        for place, some in enumerate(tables)
        for at in range(len(some.into.names))
    }


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# A cell of an array as text, by its Python type.
_CELLS: Final[Mapping[type, Callable[[Any], str]]] = {
    int: repr,
    float: repr,
    str: _quoted,
    bytes: lambda value: f'"\\\\x{value.hex()}"',
    type(None): lambda _: "NULL",
}
