"""Fixtures for all tests: private servers that can be killed, and recorded market data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.private_servers import PostgresServer, ProgramMissingError, RedisServer

# Servers are started while tests hold gRPC channels: its fork handlers abort such children.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL for the session. A test that kills it restarts it."""
    try:
        server = PostgresServer()
    except ProgramMissingError as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private Redis for the session. A test that kills it restarts it."""
    try:
        server = RedisServer()
    except ProgramMissingError as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of recorded market data: TEST_MARKET_DATA, or beside the repository."""
    folder = Path(os.environ.get("TEST_MARKET_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no recorded market data in {folder}; TEST_MARKET_DATA names another folder")
    return folder
