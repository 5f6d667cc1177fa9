"""The goodbye of a process that stops: to its WebSockets, then to connections that wait for another request."""

from __future__ import annotations

import socket

import gevent

from app.websocket.handler import Handler
from app.websocket.socket import RESTART, Socket

#: Seconds that idle connections stay open after shutdown began: as long as the proxy keeps its own idle ones, so that it closes
#: them before we do.
IDLE_GRACE = 1.0

#: Seconds in which a peer may answer our close frame.
CLOSE_TIMEOUT = 5.0


def say_goodbye() -> None:
    """Close every WebSocket of this process with 1012 (the clients may come back at once), then the idle connections."""
    for websocket in list(Handler.open_sockets):
        gevent.spawn(_close, websocket, websocket.handler.socket)
    gevent.spawn_later(IDLE_GRACE, _close_idle)


def _close(websocket: Socket, connection: socket.socket) -> None:
    # First, for the peer may not even read the close frame.
    gevent.spawn_later(CLOSE_TIMEOUT, _shutdown, connection)
    websocket.close(RESTART, "service restart")


def _close_idle() -> None:
    for handler in list(Handler.idle):
        _shutdown(handler.socket)


def _shutdown(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it was closed already
        return
