"""The shutdown of a server: its WebSockets are closed, then the connections that wait for another request."""

from __future__ import annotations

import socket

import gevent

from heliograph.websocket.registry import ConnectionRegistry

#: Seconds that idle connections stay open after shutdown began: as long as the proxy keeps its own idle ones, so that it closes
#: them before we do.
IDLE_GRACE = 1.0


def shut_down(connections: ConnectionRegistry, idle: set[socket.socket]) -> None:
    """Close every WebSocket with 1012 (the clients may come back at once), then the idle connections. Never waits."""
    connections.stop()
    gevent.spawn_later(IDLE_GRACE, _close_idle, idle)


def _close_idle(idle: set[socket.socket]) -> None:
    for connection in list(idle):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was closed already
            continue
