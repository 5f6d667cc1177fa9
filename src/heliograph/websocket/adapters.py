"""WebSockets under servers other than our own handler: they hand their socket over in the environ.

    Gunicorn's plain `gevent` worker     environ["gunicorn.socket"]
    `flask run` (Werkzeug)               environ["werkzeug.socket"]

When the application returns, both still write an answer. The engine has shut the socket down by then, so they meet a broken pipe,
and take it for a client that went away.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from heliograph.websocket.handshake import agree
from heliograph.websocket.problems import WebSocketsUnavailable
from heliograph.websocket.socket import Host, Socket, offers_websockets


class GunicornHost:
    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.socket = environ["gunicorn.socket"]
        self._body = environ["wsgi.input"]

    def take_over(self) -> bytes:
        early: bytes = self._body.reader.unreader.take_buffered()
        return early


class WerkzeugHost:
    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.socket = environ["werkzeug.socket"]
        self._input = environ["wsgi.input"]

    def take_over(self) -> bytes:
        return read_ahead(self.socket, self._input)


HOSTS: dict[str, Callable[[Mapping[str, Any]], Host]] = {
    "gunicorn.socket": GunicornHost,
    "werkzeug.socket": WerkzeugHost,
}


def websocket_of(environ: dict[str, Any]) -> Socket:
    """The socket of a request for which `asks_for_websocket` holds.

    Raises BadRequest, UpgradeRequired, and WebSocketsUnavailable where the server keeps its socket to itself.
    """
    found = environ.get("wsgi.websocket")
    if found is None:
        agreement = agree(environ)
        key = next((key for key in HOSTS if offers_websockets(environ.get(key))), None)
        if key is None:
            raise WebSocketsUnavailable(
                "Start it with `gunicorn -c conf/gunicorn.conf.py wsgi:app` or `python -m app` to have them; TLS is nginx's."
            )
        found = Socket(environ, None, HOSTS[key](environ), agreement)
        environ["wsgi.websocket"] = found
        environ["wsgi.websocket_version"] = "13"
    assert isinstance(found, Socket)
    return found


def read_ahead(connection: Any, reader: io.BufferedReader) -> bytes:
    """What a server's buffer holds beyond the request, without waiting for more."""
    patience = connection.gettimeout()
    connection.settimeout(0.0)
    try:
        return reader.peek()
    finally:
        connection.settimeout(patience)
