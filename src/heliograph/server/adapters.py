"""WebSockets under servers other than our own handler: they hand their socket over in the environ.

    Gunicorn's plain `gevent` worker     environ["gunicorn.socket"]
    `flask run` (Werkzeug)               environ["werkzeug.socket"]
    gevent-websocket's worker, handler   environ["wsgi.websocket"], which is open before the application is asked

When the application returns, both still write an answer. The engine has shut the socket down by then, so they meet a broken pipe,
and take it for a client that went away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from geventwebsocket.websocket import WebSocket

from heliograph.problems import Problem
from heliograph.request.environ import GUNICORN_SOCKET, OFFER, WEBSOCKET, WERKZEUG_SOCKET
from heliograph.server.takeover import offers_websockets, read_ahead
from heliograph.websocket.handshake import Agreement, agree
from heliograph.websocket.offer import offering
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


class LibraryHost:
    """gevent-websocket's own handler. Its WebSocket is told that it is closed, so that it leaves the connection to ours."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self.socket = websocket.handler.socket

    def take_over(self) -> bytes:
        self._websocket.closed = True
        return read_ahead(self.socket, self._websocket.handler.rfile)


HOSTS: dict[str, Callable[[Mapping[str, Any]], Host]] = {
    GUNICORN_SOCKET: GunicornHost,
    WERKZEUG_SOCKET: WerkzeugHost,
}


def add_websocket(environ: dict[str, Any], registry: ConnectionRegistry) -> dict[str, Any]:
    """Offer an unopened socket in the environ of a request for which `asks_for_websocket` holds; returns the environ to use.

    Not where one is there already, where the server keeps its socket to itself, and where the handshake is not valid: the
    application says what is wrong with it.
    """
    if environ.get(OFFER) is not None:
        return environ
    library = environ.get(WEBSOCKET)
    if isinstance(library, WebSocket) and offers_websockets(library.handler.socket):
        opened = Agreement((), None, opened=True)
        environ[OFFER] = Socket(environ, library.handler, LibraryHost(library), opened, registry)
        environ[OFFER].accept()
        return environ
    key = next((key for key in HOSTS if offers_websockets(environ.get(key))), None)
    if key is None:
        return environ
    try:
        agreement = agree(environ)
    except Problem:
        return environ
    return offering(environ, Socket(environ, None, HOSTS[key](environ), agreement, registry))
