"""How a request that asks for a WebSocket offers it to the application.

A raw WSGI program of gevent-websocket takes `environ["wsgi.websocket"]`, and may then only keep it and wait: its client must be
told that the connection is open. So taking it from the environ completes the handshake. A routed view finds the socket under
OFFER instead, and may still refuse.
"""

from __future__ import annotations

import logging
from typing import Any

from geventwebsocket.exceptions import WebSocketError

from heliograph.request.environ import OFFER, WEBSOCKET, WEBSOCKET_VERSION
from heliograph.websocket.handshake import VERSION
from heliograph.websocket.socket import Socket

log = logging.getLogger("heliograph")


class OfferingEnviron(dict[str, Any]):
    """A WSGI environ from which the socket is taken open."""

    def __getitem__(self, key: str) -> Any:
        if key == WEBSOCKET:
            self._open()
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key == WEBSOCKET:
            self._open()
        return super().get(key, default)

    def copy(self) -> OfferingEnviron:
        return OfferingEnviron(self)

    def _open(self) -> None:
        offered = super().get(WEBSOCKET)
        if isinstance(offered, Socket):
            try:
                offered.accept()
            except WebSocketError as exc:  # each use of the socket raises it again
                log.debug("a client had gone: %s", exc)


def offering(environ: dict[str, Any], socket: Socket) -> OfferingEnviron:
    """The environ with the socket in it."""
    environ[WEBSOCKET] = environ[OFFER] = socket
    environ[WEBSOCKET_VERSION] = VERSION
    offered = OfferingEnviron(environ)
    socket.environ = offered  # type: ignore[misc]  # a slot of the base, which has no types
    return offered


def withdraw(environ: dict[str, Any]) -> None:
    """The conversation is over: environ and socket do not keep each other alive."""
    environ[WEBSOCKET] = environ[OFFER] = None
