"""Keys of a WSGI environ that more than one module uses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The client's socket: as Gunicorn's pywsgi handler names it, on which ours stands; its own workers; Werkzeug's server.
PYWSGI_SOCKET = "gunicorn.sock"
GUNICORN_SOCKET = "gunicorn.socket"
WERKZEUG_SOCKET = "werkzeug.socket"

#: gevent-websocket's contract: the socket of a request that asks for a WebSocket, and the version of the protocol.
WEBSOCKET = "wsgi.websocket"
WEBSOCKET_VERSION = "wsgi.websocket_version"

#: The same socket where looking at it does not complete the handshake (`websocket.offer`).
OFFER = "heliograph.websocket"

#: True where the application took the client's socket from the server and answered itself, as flask-sock does.
TAKEN = "heliograph.taken"

#: The subject of a token that was verified for this request. Ask `client.client_of` who the client is.
SUBJECT = "heliograph.subject"

#: What one server of ours knows: its connections, and whether it stops (`server.state`).
SERVER_STATE = "heliograph.server"

#: The middleware's record of this request. A second middleware inside of it does not begin another one.
EXCHANGE = "heliograph.exchange"


#: The connections of the server, `websocket.registry.ConnectionRegistry`, with the memory that all of them may hold.
CONNECTIONS = "heliograph.connections"


def client_socket(environ: Mapping[str, Any]) -> Any:
    """The socket of the client's connection, for as long as that lives; None under a server that keeps it to itself.

    For watching and ending a connection only: a client has many of them, and behind a proxy many clients have one.
    """
    return environ.get(PYWSGI_SOCKET) or environ.get(GUNICORN_SOCKET) or environ.get(WERKZEUG_SOCKET)


def list_items(header: str) -> list[str]:
    """The members of a list of tokens in a header, in lower case (RFC 9110 section 5.6.1)."""
    return [item for part in header.split(",") if (item := part.strip(" \t").lower())]
