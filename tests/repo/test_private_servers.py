"""The servers the other tests rely on keep what they were told when they are killed."""

from __future__ import annotations

import psycopg
import pytest
import redis

from tests.private_servers import PostgresServer, RedisServer


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def test_postgres_keeps_committed_rows_when_killed(postgres_server: PostgresServer) -> None:
    """A row committed before SIGKILL is there after a restart, at the same address."""
    url = _conninfo(postgres_server.new_database())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("INSERT INTO kept VALUES (7)")

    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgres_server.restart()

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_every_database_is_new(postgres_server: PostgresServer) -> None:
    """Two tests never see each other's tables."""
    assert postgres_server.new_database() != postgres_server.new_database()


def test_redis_keeps_values_when_killed(redis_server: RedisServer) -> None:
    """A value set before SIGKILL is there after a restart, at the same address."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("kept", "7")

        redis_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        redis_server.restart()

        assert client.get("kept") == b"7"
