"""WebSockets under servers other than our own handler: they hand their socket over in the environ.

    Gunicorn's plain `gevent` worker     environ["gunicorn.socket"]
    `flask run` (Werkzeug)               environ["werkzeug.socket"]

When the application returns, both still write an answer. The engine has shut the socket down by then, so they meet a broken pipe,
and take it for a client that went away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from heliograph.problems import Problem
from heliograph.request.environ import GUNICORN_SOCKET, WEBSOCKET, WEBSOCKET_VERSION, WERKZEUG_SOCKET
from heliograph.server.takeover import offers_websockets, read_ahead
from heliograph.websocket.handshake import VERSION, agree
from heliograph.websocket.registry import ConnectionRegistry
from heliograph.websocket.socket import Host, Socket


class GunicornHost:
    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.socket = environ[GUNICORN_SOCKET]
        self._body = environ["wsgi.input"]

    def take_over(self) -> bytes:
        early: bytes = self._body.reader.unreader.take_buffered()
        return early


class WerkzeugHost:
    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.socket = environ[WERKZEUG_SOCKET]
        self._input = environ["wsgi.input"]

    def take_over(self) -> bytes:
        return read_ahead(self.socket, self._input)


HOSTS: dict[str, Callable[[Mapping[str, Any]], Host]] = {
    GUNICORN_SOCKET: GunicornHost,
    WERKZEUG_SOCKET: WerkzeugHost,
}


def add_websocket(environ: dict[str, Any], registry: ConnectionRegistry) -> None:
    """Put an unopened socket into the environ of a request for which `asks_for_websocket` holds.

    Not where one is there already, where the server keeps its socket to itself, and where the handshake is not valid: the
    application says what is wrong with it.
    """
    if environ.get(WEBSOCKET) is not None:
        return
    key = next((key for key in HOSTS if offers_websockets(environ.get(key))), None)
    if key is None:
        return
    try:
        agreement = agree(environ)
    except Problem:
        return
    environ[WEBSOCKET] = Socket(environ, None, HOSTS[key](environ), agreement, registry)
    environ[WEBSOCKET_VERSION] = VERSION
