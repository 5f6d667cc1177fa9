"""The goodbye of a process that stops: to its WebSockets, then to connections that wait for another request."""

from __future__ import annotations

import socket

import gevent

from heliograph.server.handler import Handler
from heliograph.websocket.connection import Connection, open_connections
from heliograph.websocket.frames import RESTART

#: Seconds that idle connections stay open after shutdown began: as long as the proxy keeps its own idle ones, so that it closes
#: them before we do.
IDLE_GRACE = 1.0

#: Goodbyes said before others get a turn; each takes some 30 µs.
AT_ONCE = 100


def say_goodbye() -> None:
    """Close every WebSocket of this process with 1012 (the clients may come back at once), then the idle connections."""
    gevent.spawn(_close_all, list(open_connections))
    gevent.spawn_later(IDLE_GRACE, _close_idle)


def _close_all(connections: list[Connection]) -> None:
    for number, connection in enumerate(connections, 1):
        connection.close(RESTART, "service restart")
        if number % AT_ONCE == 0:
            gevent.sleep(0)


def _close_idle() -> None:
    for handler in list(Handler.idle):
        _shutdown(handler.socket)


def _shutdown(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it was closed already
        return
