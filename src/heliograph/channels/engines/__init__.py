"""The engines of the log: what an engine is, and which one a URL names.

An engine is a folder whose `engine.py` has a subclass of `heliograph.channels.log.Log`; its `at` opens nothing and checks the URL.
The other files have the same names in each engine, as far as it needs them:

    connection   opens and checks a connection     listener    is notified that the log grew
    store        appends and trims                 presence    who subscribes, and used tickets (`PresenceStore`)
    reader       pages, tops, what is new          schema      tables, keys and scripts in the store
    pool         all connections of one process

`plan` decides what a group of appends leads to, `window` which messages a page has, `segment` packs messages: all engines that need
these give the same answers. An engine is imported when a URL names it, so an instance on SQLite needs no client of a server.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import NamedTuple

from heliograph.channels.errors import LocationError
from heliograph.channels.location import Location
from heliograph.channels.log import Log
from heliograph.channels.records import Limits


class Engine(NamedTuple):
    """`folder` is in this package, `log` the class in its `engine.py`. `extra` of heliograph installs the client `package`."""

    folder: str
    log: str
    extra: str = ""
    package: str = ""


#: By the scheme of the URL.
ENGINES: dict[str, Engine] = {
    "memory": Engine("memory", "MemoryLog"),
    "sqlite": Engine("sqlite", "SqliteLog"),
    "redis": Engine("redis", "RedisLog", "redis", "redis"),
    "rediss": Engine("redis", "RedisLog", "redis", "redis"),
    "redis+unix": Engine("redis", "RedisLog", "redis", "redis"),
    "postgresql": Engine("postgres", "PostgresLog", "postgres", "psycopg"),
}


def require_package(location: Location) -> None:
    """Raises LocationError, which names the extra to install, when the client of the server is not installed."""
    engine = ENGINES[location.scheme]
    if engine.package and importlib.util.find_spec(engine.package) is None:
        raise LocationError(
            f"{location.scheme}:// needs a package that is not installed: pip install 'heliograph[{engine.extra}]'"
        )


def open_log(location: Location, limits: Limits) -> Log:
    """The log at a location. Nothing is opened before its first call. Raises LocationError."""
    require_package(location)
    engine = ENGINES[location.scheme]
    module = importlib.import_module(f"{__name__}.{engine.folder}.engine")
    kind: type[Log] = getattr(module, engine.log)
    return kind.at(location, limits)
