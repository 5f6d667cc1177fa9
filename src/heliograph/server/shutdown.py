"""The shutdown of a process: its WebSockets are closed, then the connections that wait for another request."""

from __future__ import annotations

import socket

import gevent

from heliograph.server.handler import Handler
from heliograph.websocket.registry import registry

#: Seconds that idle connections stay open after shutdown began: as long as the proxy keeps its own idle ones, so that it closes
#: them before we do.
IDLE_GRACE = 1.0


def say_goodbye() -> None:
    """Close every WebSocket of this process with 1012 (the clients may come back at once), then the idle connections."""
    registry.stop()
    gevent.spawn_later(IDLE_GRACE, _close_idle)


def _close_idle() -> None:
    for handler in list(Handler.idle):
        _shutdown(handler.socket)


def _shutdown(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it was closed already
        return
