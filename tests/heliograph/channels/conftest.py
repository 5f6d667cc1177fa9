"""Fixtures: the patched child, servers that run for the session, and a clean place on one of them for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.heliograph.channels.patched import child
from tests.servers import PostgresServer, RedisServer, binary

__all__ = ["child"]

ENGINES = ("memory", "sqlite", "redis", "postgresql")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is missing")
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if not Path(binary("initdb")).exists():
        pytest.skip("postgresql is missing")
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an engine with nothing in it."""
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/channels.db"
    if request.param == "redis":
        return emptied_redis(request.getfixturevalue("redis_server"))
    return emptied_postgres(request.getfixturevalue("postgres_server"))


def emptied_redis(server: RedisServer) -> str:
    with server.client() as client:
        client.flushall()
    return server.url


def emptied_postgres(server: PostgresServer) -> str:
    with server.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return server.url
