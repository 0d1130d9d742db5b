"""The study database: SQLite or PostgreSQL, opened with Optuna's schema and ours, outages told."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from services.common.errors import AssayError, unavailable
from services.optimizer.adapters.store.schema_upgrade import bring_up_to_date

_SCHEMA_LOCK = 0x0A55A7
"""Key of PostgreSQL's advisory lock under which the tables are made."""

_OUTAGES = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)

_SQLITE_BEGIN = "sqlite_begin"


class Database:
    """An engine with one way to read and one to write.

    Reads see one moment, over any number of statements. Writes are whole transactions; on SQLite
    they take the write lock first, since Optuna's row locks mean nothing there.
    """

    def __init__(self, url: str) -> None:
        """Name the database; nothing is connected yet.

        Args:
            url: sqlite:///FILE, postgresql://... or postgresql+psycopg://...

        Raises:
            ValueError: the URL is of another kind.
        """
        self._url = _supported(sa.make_url(url))
        self._engine = sa.create_engine(self._url, **_engine_options(self._url))
        self._reading: sa.Engine = self._engine
        self._writing: sa.Engine = self._engine
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
            self._writing = self._engine.execution_options(**{_SQLITE_BEGIN: "BEGIN IMMEDIATE"})
        else:
            self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Run a reading transaction; UNAVAILABLE/STORE_UNAVAILABLE in an outage."""
        with _telling_outages(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Run a writing transaction; UNAVAILABLE/STORE_UNAVAILABLE in an outage."""
        with _telling_outages(), self._writing.begin() as connection:
            yield connection

    def make_tables(self) -> None:
        """Make Optuna's tables and ours where they are missing, and complete older ones.

        Raises:
            AssayError: UNAVAILABLE/STORE_UNAVAILABLE.
            RuntimeError: the tables are those of another version of Optuna.
        """
        with _telling_outages(), self._alone():
            self._make_tables()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from making the same tables."""
        if self._is_sqlite:
            # SQLite's own locks would keep Optuna's connection out as well.
            database = Path(self._url.database or "")
            database.parent.mkdir(parents=True, exist_ok=True)
            with database.with_name(f"{database.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            return
        with self._engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(_SCHEMA_LOCK)))
            connection.commit()
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_SCHEMA_LOCK)))

    def _make_tables(self) -> None:
        # Optuna reads its URL as a template.
        text = self._url.render_as_string(hide_password=False)
        storage = RDBStorage(
            text.replace("{", "{{").replace("}", "}}"),
            engine_kwargs={"poolclass": sa.pool.NullPool},
        )
        storage.remove_session()
        storage.engine.dispose()
        with self._writing.begin() as connection:
            bring_up_to_date(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _supported(url: sa.URL) -> sa.URL:
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database not in {None, "", ":memory:"}:
        return url.set(drivername="sqlite")
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise ValueError(
        f"studies are kept in sqlite:///FILE or postgresql://..., not in {url.drivername}"
    )


def _engine_options(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 30}}
    waits = {"connect_timeout": "5", "tcp_user_timeout": "20000", "options": "-c lock_timeout=20s"}
    return {
        "pool_pre_ping": True,
        "pool_size": 2,
        "max_overflow": 2,
        "pool_timeout": 20,
        "connect_args": {key: value for key, value in waits.items() if key not in url.query},
    }


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes after the first reads; ours comes before them.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_SQLITE_BEGIN, "BEGIN"))


@contextmanager
def _telling_outages() -> Iterator[None]:
    try:
        yield
    except StorageInternalError as error:
        if isinstance(error.__cause__, _OUTAGES):
            raise _outage(error.__cause__) from error
        raise
    except _OUTAGES as error:
        raise _outage(error) from error
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise _outage(error) from error
        raise


def _outage(error: BaseException) -> AssayError:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    first_line = str(cause).strip().partition("\n")[0]
    return unavailable("STORE_UNAVAILABLE", f"the study store does not answer: {first_line}")
