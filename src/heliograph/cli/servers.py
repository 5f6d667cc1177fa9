"""Asks the server behind the channels for its time, with its own client. It is not changed: no table is made."""

from __future__ import annotations

import time
from collections.abc import Callable

from heliograph.channels.location import Location

#: Seconds for a connection, and for an answer.
TIMEOUT = 5


class CannotReach(Exception):
    """The server does not answer, or does not let us in. Its text is one line without a password."""


def clock_difference(location: Location) -> float:
    """By how many seconds its clock is ahead of ours; 0 for what has no server. Raises CannotReach."""
    ask = _ASKED.get(location.scheme)
    if ask is None:
        return 0.0
    began = time.time()
    theirs = ask(location.url)
    ended = time.time()
    if began <= theirs <= ended:
        return 0.0
    return theirs - (ended if theirs > ended else began)


def _redis(url: str) -> float:
    import redis  # noqa: PLC0415 (an extra)

    try:
        with redis.Redis.from_url(
            url.replace("redis+unix://", "unix://", 1), socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT
        ) as client:
            seconds, microseconds = client.time()
    except (redis.RedisError, OSError, ValueError) as exc:
        raise CannotReach(_line(exc)) from exc
    return float(seconds) + float(microseconds) / 1e6


def _postgres(url: str) -> float:
    import psycopg  # noqa: PLC0415 (an extra)
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415 (as above)

    try:
        options = {"connect_timeout": str(TIMEOUT), **conninfo_to_dict(url)}
        with psycopg.connect(make_conninfo("", **options)) as connection:
            found = connection.execute(
                "SELECT extract(epoch FROM clock_timestamp())::double precision"
            ).fetchone()
    except (psycopg.Error, OSError) as exc:
        raise CannotReach(_line(exc)) from exc
    return float(found[0]) if found else 0.0


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__


_ASKED: dict[str, Callable[[str], float]] = {
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis,
    "postgresql": _postgres,
}
