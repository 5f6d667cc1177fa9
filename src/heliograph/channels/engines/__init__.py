"""The engines by the scheme of their URL, and how to open one."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.channels.location import Location
from heliograph.channels.log import Limits, Log


def open_log(location: Location, limits: Limits) -> Log:
    """The engine of a location. Nothing is opened before its first call."""
    return ENGINES[location.scheme](location, limits)


# ruff: noqa: PLC0415 (imported when chosen: an instance on SQLite needs no client of a database)


def _memory(_location: Location, limits: Limits) -> Log:
    from heliograph.channels.engines.memory.engine import MemoryLog

    return MemoryLog(limits)


def _sqlite(location: Location, limits: Limits) -> Log:
    from heliograph.channels.engines.sqlite.engine import SqliteLog

    return SqliteLog(location.path, limits)


def _redis(location: Location, limits: Limits) -> Log:
    from heliograph.channels.engines.redis.engine import RedisLog

    return RedisLog(location.url, limits)


def _postgres(location: Location, limits: Limits) -> Log:
    from heliograph.channels.engines.postgres.engine import PostgresLog

    return PostgresLog(location.url, limits)


ENGINES: dict[str, Callable[[Location, Limits], Log]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis,
    "postgresql": _postgres,
}
