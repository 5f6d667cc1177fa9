"""A connection to the server that is opened again whenever it is lost, after a wait with jitter.

redis-py makes the socket, speaks the protocol and logs in; it waits cooperatively because the process is patched, else by
`waiting`. Which command waits for which answer is kept here, because many commands are in flight at once on one connection.
"""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from typing import Any

import gevent
import redis
from gevent.event import Event
from heliograph_proxy.backoff import delay
from heliograph_proxy.sentences import because
from redis import connection as connections
from redis.backoff import NoBackoff
from redis.retry import Retry

from heliograph.channels.engines.redis.waiting import cooperative
from heliograph.channels.errors import LocationError
from heliograph.channels.location import redacted
from heliograph.request.homeloop import is_patched

log = logging.getLogger("heliograph")

#: Seconds to make a connection and log in, and for each of the addresses of the host, which are tried one after the other.
CONNECT_TIMEOUT, ADDRESS_TIMEOUT = 8.0, 2.0

#: What a lost or refused connection raises; EOFError and ValueError come from sockets that are closed under a reader.
FAILURES = (redis.RedisError, OSError, EOFError, ValueError)


#: redis-py's connections have no types.
RawConnection = Any
_connections: Any = connections


def check_url(url: str) -> None:
    """Raises LocationError. redis-py's own text may contain the password, so it is not shown."""
    try:
        new_connection(url)
    except LocationError:
        raise
    except (ValueError, TypeError):
        raise LocationError(
            "the redis:// URL cannot be read: redis://user:password@host:6379/0, and options that redis-py knows, are allowed"
        ) from None


def database(url: str) -> int:
    """The number of the database: the same for a socket, a host and the option `db`."""
    return int(_options(url).get("db") or 0)


def _options(url: str) -> dict[str, Any]:
    return dict(_connections.parse_url(url.replace("redis+unix://", "unix://", 1)))


def new_connection(url: str) -> RawConnection:
    options: dict[str, Any] = {
        "socket_connect_timeout": ADDRESS_TIMEOUT,
        "socket_timeout": None,  # `pipeline.py` checks what takes too long
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),  # it would reconnect unnoticed, and notifications would be lost
        "client_name": "heliograph",
        **_options(url),
    }
    kind = options.pop("connection_class", connections.Connection)
    if kind is not connections.UnixDomainSocketConnection:
        options["socket_keepalive"] = True
    return kind(**options) if is_patched() else cooperative(kind)(**options)


class RedisConnection(ABC):
    """`state` is "ok", or why there is no connection now."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.state = "Redis is being connected to"
        self.connection: RawConnection | None = None
        #: Set once the first attempt has succeeded or failed.
        self.attempted = Event()
        #: How many times it was.
        self.opened = 0
        self._attempts = 0
        self._closing = False
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            try:
                self._connect_once()
            except FAILURES as exc:
                self._set_failure(exc)
            except Exception as exc:
                log.exception("an error in this program ended a connection to Redis")
                self._set_failure(exc)
            self.attempted.set()
            try:
                gevent.sleep(delay(self._attempts, random.random))
            except FAILURES:
                continue  # a `reset` that came when the connection was lost already
            self._attempts += 1

    def _connect_once(self) -> None:
        """Connect, and use the connection until it is lost."""
        connection = new_connection(self._url)
        try:
            with gevent.Timeout(CONNECT_TIMEOUT, TimeoutError("it does not answer")):
                connection.connect()
                self._prepare(connection)
            self._attempts = 0
            self._on_connected(connection)
            self._use(connection)
        finally:
            self._on_disconnected()
            connection.disconnect()

    def _on_connected(self, connection: RawConnection) -> None:
        self.connection, self.state = connection, "ok"
        self.opened += 1
        self.attempted.set()

    def _on_disconnected(self) -> None:
        """Called when the connection was lost or refused. Must not wait: no other greenlet may use it meanwhile."""
        if self.connection is not None and not self._closing:
            log.warning("the connection to %s was lost", redacted(self._url))
            self.state = "the connection to Redis was lost"
        self.connection = None

    def _set_failure(self, exc: Exception) -> None:
        """redis-py's errors name host and port, never the password."""
        self.state = because("Redis cannot be used now", exc)

    def reset(self, reason: str) -> None:
        """Drop the connection and open a new one."""
        if self.connection is not None:
            self._greenlet.kill(redis.ConnectionError(reason), block=False)

    def close(self) -> None:
        self._closing = True
        self._greenlet.kill()
        self.state = "closed"

    @abstractmethod
    def _prepare(self, connection: RawConnection) -> None:
        """What a new connection needs; raises one of FAILURES."""

    @abstractmethod
    def _use(self, connection: RawConnection) -> None:
        """Use it until it raises one of FAILURES."""
